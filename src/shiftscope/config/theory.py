"""What the `posterior` and `causal` of a language model must agree on with the rest of a config."""

from __future__ import annotations

from collections.abc import Iterator

from shiftscope.config.study import Study
from shiftscope.errors import unknown
from shiftscope.vocabulary import CHECKPOINT, MAPPED, TRAINED, UNTRAINED


def theory_problems(study: Study) -> Iterator[str]:
    """Whatever of a whole config does not fit them, each a line that says what to change."""
    for lm in study.posterior:
        yield from _of_posterior(study, lm)
    for lm in study.causal:
        yield from _of_causal(study, lm)


def _of_posterior(study: Study, lm: str) -> Iterator[str]:
    """A posterior is that of a grammar, and its joint sets name concepts of it of which something follows."""
    entry = study.lms[lm]
    if entry.kind != TRAINED:
        yield f"lms.{lm}.posterior: nobody knows the posterior of what {lm} reads, for it was not trained here: remove it"
        return
    corpus = study.corpora[entry.params.corpus].params
    joint = [concept for some in study.posterior[lm].joint for concept in some]
    concepts = [one for one in corpus.build().concepts if one not in corpus.null] if joint else []
    for concept in joint:
        if concept not in concepts:
            problem = unknown(f"concept {concept!r} of which something follows", concept, concepts)
            yield f"lms.{lm}.posterior.joint: {problem}"


def _of_causal(study: Study, lm: str) -> Iterator[str]:
    """A language model that is steered has datasets whose vectors steer it, and reads those in which they should not."""
    asked, place = study.causal[lm], f"lms.{lm}.causal"
    if study.lms[lm].kind in (UNTRAINED, MAPPED, CHECKPOINT):
        yield f"{place}: {lm} is there to be compared with another: steer that one"
        return
    steered, possible = study.causal_on(lm), study.steerable(lm)
    read = [name for one, name in study.trained_on() + study.words_on() if one == lm]
    if not possible:
        yield f"{place}: variants are trained on no dataset of labelled pairs with {lm}: leave it out"
    for key, allowed in (("datasets", possible), ("others", read), ("variants", study.variants)):
        for name in getattr(asked, key) or []:
            if name not in allowed:
                yield f"{place}.{key}: {unknown(f'{name!r}, as {lm} has it,', name, allowed)}"
    for name in steered:
        if not set(study.vectors_of(lm, name)) & set(study.causal_variants(lm)):
            yield f"{place}.variants: none of them is trained on {name}: name another, or leave {name} out of `datasets`"
