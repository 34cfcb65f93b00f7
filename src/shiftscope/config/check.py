"""What a config's sections must agree on. Checks change nothing: each refuses with one line, or returns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from shiftscope.config.activations import activations_problems
from shiftscope.config.sections import (
    LONGEST_NAME,
    NAME,
    READ,
    REPETITION,
    BehaviourEntry,
    KindEntry,
    LmEntry,
    Top,
    VariantEntry,
    section_of,
)
from shiftscope.config.study import Study
from shiftscope.config.theory import theory_problems
from shiftscope.corpora._grammars import GrammarCorpus
from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.lms.train import Train
from shiftscope.pairs._questions import QuestionDataset
from shiftscope.tables import base as catalogue
from shiftscope.vocabulary import CHECKPOINT, MAPPED, SYNTHETIC, TRAINED, UNTRAINED
from shiftscope.workflow.paths import lm_of

Entries = dict[str, dict[str, Any]]
READING = {"layer", "layers", "layer_variants", "dtype", "batch_tokens", "device_map"}
"""keys of how a language model is read, which mapped embeddings take from where they come from"""


def check_name(section: str, name: str, origin: str) -> None:
    """A name becomes a folder's.

    Raises:
        ShiftScopeError: it cannot.
    """
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME or REPETITION.search(name):
        shown = name if len(name) <= LONGEST_NAME else f"{name[:24]}…"
        raise ShiftScopeError(
            f"{origin}: {section}.{shown}: a name has letters, digits, '_', '-' and '.' only, a letter or digit first, at "
            f"most {LONGEST_NAME} of them, and repeats nothing ten times"
        )


def check_references(top: Top, entries: Entries, origin: str) -> None:
    """Names that refer to other sections must exist, and names that become folders must not collide.

    Raises:
        ShiftScopeError: one does not, or they do; names the key, `origin` first.
    """
    problems = (
        *_nothing_to_do(top, entries),
        *_collisions(top, entries),
        *_listed_names(entries, top.activations),
        *_origins_of_lms(entries),
        *_hosts("pairs", entries["pairs"], "embedded_with", "dataset"),
        *_hosts("variants", entries["variants"], "trained_with", "variant"),
        *_shared_jobs(entries["variants"]),
        *_grids_of_networks(entries["variants"]),
        *_code_sizes(entries),
        *_idle_words(entries),
        *_tables_and_figures(top, entries),
    )
    for problem in problems:
        raise ShiftScopeError(f"{origin}: {problem}")


def _nothing_to_do(top: Top, entries: Entries) -> Iterator[str]:
    if not (entries["pairs"] or entries["synthetic"] or entries["simulations"] or top.activations):
        yield "there is nothing to train on: name a dataset under `pairs`, `synthetic`, `simulations` or `activations`"
    if entries["pairs"] and not entries["lms"]:
        yield "`pairs` need a language model: name one under `lms`"


def _collisions(top: Top, entries: Entries) -> Iterator[str]:
    if SYNTHETIC in entries["lms"]:
        yield f"lms.{SYNTHETIC}: this name is taken by synthetic data, choose another"
    named = {name: entries[name] for name in ("pairs", "synthetic", "simulations")} | {"activations": top.activations}
    for (one, first), (other, second) in itertools.combinations(named.items(), 2):
        for both in sorted(set(first) & set(second)):
            yield f"{both} is both under `{one}` and under `{other}`: rename one"


def _listed_names(entries: Entries, stores: dict[str, Any]) -> Iterator[str]:
    """Lists of names that belong to another section."""
    members = ((f"{section}.{name}", entry) for section, found in entries.items() for name, entry in found.items())
    lists = ((f"{place}.{key}", *rest) for place, entry in members for key, *rest in _lists(entry, entries, stores))
    for place, listed, allowed in lists:
        for other in listed:
            if other not in allowed:
                yield f"{place}: {unknown(repr(other), other, allowed)}"


def _lists(
    entry: KindEntry, entries: Entries, stores: dict[str, Any]
) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """An entry's lists of names: their key, the names, and what they may be."""
    variants, datasets = entries["variants"], entries["pairs"] | entries["synthetic"]
    if isinstance(entry, VariantEntry):
        read = {"activations": stores, "simulations": entries["simulations"]}
        datasets = read.get(section_of(entry.params.reads), datasets)
    known = {"variants": variants, "layer_variants": variants, "pairs": entries["pairs"], "datasets": datasets}
    for key, allowed in known.items():
        yield key, getattr(entry, key, None) or [], allowed
    for size, some in (getattr(entry, "codes", None) or {}).items():
        yield f"codes.{size}", some or [], variants


def _origins_of_lms(entries: Entries) -> Iterator[str]:
    made = (UNTRAINED, MAPPED, CHECKPOINT)
    trained = [name for name, entry in entries["lms"].items() if entry.kind not in made]
    here = {name: entry for name, entry in entries["lms"].items() if entry.kind == TRAINED}
    for name, entry in entries["lms"].items():
        if entry.kind == CHECKPOINT and entry.params.of not in here:
            yield f"lms.{name}.of: {unknown(f'language model {entry.params.of!r} with source train', entry.params.of, here)}"
        elif entry.kind == CHECKPOINT and entry.params.step not in _kept(here[entry.params.of].params):
            kept = ", ".join(map(str, _kept(here[entry.params.of].params)))
            yield f"lms.{name}.step: {entry.params.of} keeps its weights at {kept}: name one of these, or add to its `checkpoints`"
        if entry.kind in made and entry.params.of not in trained:
            problem = unknown(f"trained language model {entry.params.of!r}", entry.params.of, trained)
            yield f"lms.{name}.of: {problem}"
        if entry.kind == TRAINED and entry.params.corpus not in entries["corpora"]:
            problem = unknown(f"corpus {entry.params.corpus!r}", entry.params.corpus, entries["corpora"])
            yield f"lms.{name}.corpus: {problem}"
        elif entry.kind == TRAINED and not isinstance(entries["corpora"][entry.params.corpus].params, GrammarCorpus):
            sampled = [other for other, one in entries["corpora"].items() if isinstance(one.params, GrammarCorpus)]
            problem = unknown(f"grammar {entry.params.corpus!r}", entry.params.corpus, sampled)
            yield f"lms.{name}.corpus: {problem}: a language model is trained on text whose concepts are known"
        idle = sorted(entry.model_fields_set & READING) if entry.kind == MAPPED else []
        if idle:
            yield f"lms.{name}.{idle[0]}: embeddings are mapped as {entry.params.of} reads them: remove this key"


def _kept(training: Train) -> list[int]:
    """The steps at which weights are kept: those before the last."""
    return [step for step in training.checkpoints if step < training.steps]


def _hosts(section: str, entries: dict[str, Any], key: str, kind: str) -> Iterator[str]:
    """What entries share a job with is another that has one of its own."""
    hosts = {name: getattr(entry, key) for name, entry in entries.items()}
    for name, host in hosts.items():
        place, others = f"{section}.{name}.{key}", sorted(one for one in hosts if hosts[one] is None and one != name)
        if host is not None and (host not in hosts or host == name):
            yield f"{place}: {unknown(f'other {kind} {host!r}', host, others)}"
        elif host is not None and hosts[host] == name:
            yield f"{place}: {name} and {host} each name the other: remove one of the two keys"
        elif host is not None and hosts[host] is not None:
            yield f"{place}: {host} is itself {key.replace('_', ' ')} {hosts[host]}: write {hosts[host]}"


def _shared_jobs(variants: dict[str, VariantEntry]) -> Iterator[str]:
    for name, entry in variants.items():
        host = variants.get(entry.trained_with or "")
        if host and section_of(host.params.reads) != section_of(entry.params.reads):
            yield (
                f"variants.{name}.trained_with: {name} learns from {READ[section_of(entry.params.reads)]} and "
                f"{entry.trained_with} from {READ[section_of(host.params.reads)]}: a job has one dataset"
            )


def _grids_of_networks(variants: dict[str, VariantEntry]) -> Iterator[str]:
    """Settings of networks in simulated worlds are not chosen among, for UDR compares directions."""
    for name, entry in variants.items():
        if section_of(entry.params.reads) == "simulations" and len(entry.settings) > 1:
            yield f"variants.{name}.grid: nothing chooses among settings of networks in simulated worlds: make a variant of each"


def _code_sizes(entries: Entries) -> Iterator[str]:
    for section in ("pairs", "synthetic"):
        for name, entry in entries[section].items():
            idle = section == "pairs" and not (entry.params.trained_by_default or entry.variants)
            if not (entry.codes or entry.params.n_varying or idle):
                yield (
                    f"{section}.{name}.codes is missing: say how many concepts vary in these pairs, e.g. [5]; several sizes "
                    "can be compared"
                )


def _idle_words(entries: Entries) -> Iterator[str]:
    """What says how to train on pairs of which nobody said that variants are trained on them."""
    idle = [name for name, one in entries["pairs"].items() if not (one.params.trained_by_default or one.variants)]
    for name in idle:
        if entries["pairs"][name].codes:
            yield f"pairs.{name}.codes: nothing is trained on these pairs unless `variants` beside it says what: add it"
        for variant, entry in entries["variants"].items():
            if name in (entry.datasets or []):
                yield f"variants.{variant}.datasets: nothing is trained on {name} unless pairs.{name}.variants says what: add it"


def _tables_and_figures(top: Top, entries: Entries) -> Iterator[str]:
    known = catalogue.names()
    for name, entry in entries["variants"].items():
        for other in entry.shown_in or []:
            if other not in known:
                yield f"variants.{name}.shown_in: {unknown(repr(other), other, known)}"
    for section in ("tables", "figures"):
        allowed = [name for name in known if name.startswith(section.removesuffix("s"))]
        for name in getattr(top, section):
            if name not in allowed:
                yield f"{section}: {unknown(repr(name), name, allowed)}"


def check_layers(lms: dict[str, LmEntry], origin: str) -> None:
    """`layer_variants` is for further layers, so there must be some.

    Raises:
        ShiftScopeError: there is none.
    """
    for name, entry in lms.items():
        if entry.layer_variants and len(entry.layers) == 1:
            raise ShiftScopeError(
                f"{origin}: lms.{name}.layer_variants is for further layers, and `layers` names none: add some, or "
                "leave it out"
            )


def check_behaviour(name: str, asked: BehaviourEntry, entries: Entries, origin: str) -> None:
    """An entry of `behaviour` has the name of a pair dataset that is made of questions with answers, and its variants exist.

    Raises:
        ShiftScopeError: it has not, or one does not.
    """
    asking = [pair for pair, entry in entries["pairs"].items() if isinstance(entry.params, QuestionDataset)]
    if name not in asking:
        raise ShiftScopeError(f"{origin}: behaviour: {unknown(f'dataset {name!r} with questions', name, asking)}")
    for variant in asked.variants or []:
        if variant not in entries["variants"]:
            problem = unknown(repr(variant), variant, entries["variants"])
            raise ShiftScopeError(f"{origin}: behaviour.{name}.variants: {problem}")


def check_work(study: Study, origin: str) -> None:
    """Every dataset has a variant to train, and every table and figure something to show.

    Raises:
        ShiftScopeError: one has not; says what to add.
    """
    problems = (
        *activations_problems(study),
        *_trained_checkpoints(study),
        *_idle_datasets(study),
        *_idle_behaviour(study),
        *theory_problems(study),
        *_empty_tables(study),
    )
    for problem in problems:
        raise ShiftScopeError(f"{origin}: {problem}")


def _trained_checkpoints(study: Study) -> Iterator[str]:
    """A checkpoint is there to see what a language model knew on the way: it reads words, and nothing is trained on it."""
    for lm, dataset in study.trained_on():
        if lm != SYNTHETIC and study.lm(lm).kind == CHECKPOINT:
            words = ", ".join(dict.fromkeys(name for _, name in study.words_on())) or "none"
            yield f"lms.{lm_of(lm)}.pairs: a checkpoint reads words alone, of which nothing is learned (here {words}): leave {dataset} out"


def _idle_datasets(study: Study) -> Iterator[str]:
    for lm, dataset in [*study.trained_on(), *study.simulated_on()]:
        sizes = study.codes(lm, dataset)
        for codes in sizes:
            if not study.variants_on(lm, dataset, codes):
                on = ("" if lm == SYNTHETIC else f" with {lm}") + (f" at code size {codes}" if len(sizes) > 1 else "")
                yield (
                    f"no variant is left to train on {dataset}{on}: the `variants` lists of the two and the variants' own "
                    "`datasets` leave none in common, or only variants that need labelled concepts; add a variant"
                )


def _idle_behaviour(study: Study) -> Iterator[str]:
    for lm, dataset in study.asked():
        if not study.steered(lm, dataset):
            yield f"behaviour.{dataset}.variants: none of them is trained on {dataset} with {lm}: name another"


def _empty_tables(study: Study) -> Iterator[str]:
    for name in study.tables + study.figures:
        kind = catalogue.entry(name).PARTS
        if not study.has(kind):
            section = f"{name.split('_')[0]}s"
            yield f"{section}: {name!r} needs {catalogue.NEEDS[kind]}, and there is none: add one or leave {name} out"
