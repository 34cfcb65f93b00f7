"""Cards of latents: what a latent that was matched to a concept reacts to in text, and what it does to next tokens.

A card is made of every latent that `pcc_heldout` matches to a concept, of the first seed of every autoencoder at its
chosen setting. So a score can be looked at: whether a latent of high PCC is what the concept's name says. Codes are those
of the sparse path.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shiftscope.activations.contexts import Context, contexts, token_texts
from shiftscope.activations.next_tokens import NextTokens, next_tokens
from shiftscope.activations.store import Store
from shiftscope.activations.windows import Windows, WindowsFacts, read_held_out
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import Trained, step_of
from shiftscope.evaluation.card_file import (
    Card,
    Cards,
    Effect,
    Histogram,
    MatchedTo,
    OnConcept,
    TokenChange,
    TopContext,
    VariantCards,
)
from shiftscope.evaluation.latent_activity import Activity, stream
from shiftscope.evaluation.pcc import distinct_words
from shiftscope.files import read_json
from shiftscope.metrics import pcc
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import sparse_codes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
logger = logging.getLogger(__name__)

READ_TOKENS = 512
"""held-out tokens on which the effect on next tokens is measured, where it must be: the model reads them once per latent"""
TOKENS_SHOWN = 10
"""next tokens that are listed of those that rise, and of those that fall"""
DIGITS = 5
"""significant digits of numbers in a card"""


class Probed(NamedTuple):
    """The words of a dataset with the probes of its concepts."""

    dataset: str
    embeddings: np.ndarray
    """`[words, d]` float32"""
    concepts: list[pcc.ConceptWords]
    logits: pcc.Logits


class Described(NamedTuple):
    """One autoencoder, its latents that have a card, and what they have to do with concepts."""

    one: Trained
    model: Model
    matched: dict[int, list[MatchedTo]]
    """by latent, in rising order"""
    nearest: dict[int, OnConcept]
    unmatched: list[str]

    def codes(self, inputs: np.ndarray) -> np.ndarray:
        """Sparse codes `[n, F]` of activations `[n, d]`."""
        return sparse_codes(self.one.variant, self.model.arrays, inputs)


def describe(
    store: Store, trained: list[Trained], words: list[PairEmbeddings], lm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase, windows: Path, windows_manifest: Path, batch_tokens: int,
) -> Cards:  # fmt: skip
    """Cards of all matched latents of the autoencoders of one store.

    Args:
        store: the activations that they were trained on, and held-out ones.
        trained: all variants, at one code size.
        words: datasets of words whose concepts are known, as the same language model embeds them.
        lm: the language model.
        tokenizer: its tokenizer.
        windows: the text of the store.
        windows_manifest: see `windows`.
        batch_tokens: tokens that the language model reads at a time.

    Raises:
        ShiftScopeError: the windows are not those of the store, or nothing is held out.
    """
    facts: WindowsFacts = read_json(windows_manifest)
    if facts["sha256"] != store.facts["windows_sha256"]:
        raise ShiftScopeError(
            f"the activations in {store.folder} were read from other windows than {windows}: delete {store.folder}, and "
            "`make run` makes them again"
        )
    if not store.rows("test"):
        raise ShiftScopeError("there are no held-out tokens to describe latents on: set `held_out` above 0")
    probed = [_probed(data) for data in words]
    described = [matched_latents(one, model, probed) for one, model in finished(trained)]
    activities, looked_at = watch(store, described)
    sample = _sample(read_held_out(windows, windows_manifest))
    effects = effects_of(lm, store.facts["layer"], described, activities, sample, batch_tokens)
    effect = Effect(unit=effects[0].unit, tokens=effects[0].tokens) if effects else Effect(unit="logits", tokens=0)
    listed = [
        listed_changes(found.change[:, : len(tokenizer)], active(doing), tokenizer)
        for found, doing in zip(effects, activities, strict=True)
    ]
    around = _around(activities, windows, windows_manifest, tokenizer)
    variants = [
        _variant_cards(who, doing, around, changes, looked_at["test"])
        for who, doing, changes in zip(described, activities, listed, strict=True)
    ]
    return Cards(
        **{name: store.facts[name] for name in ("lm", "layer", "dataset", "corpus")},
        words={some.dataset: [concept.name for concept in some.concepts] for some in probed},
        looked_at=looked_at, effect=effect, variants=variants,
    )  # fmt: skip


def finished(trained: list[Trained]) -> Iterator[tuple[Trained, Model]]:
    """Of every autoencoder the model that is described: its first seed at the chosen setting, at the end of training."""
    for one in trained:
        models = [model for model in one.models if model.setting == one.chosen and not step_of(one, model)]
        if models:
            yield one, models[0]
        else:
            logger.warning("%s was not trained (steps: 0): no latent of it is described", one.facts["variant"])


def _probed(data: PairEmbeddings) -> Probed:
    embeddings, concepts = distinct_words(data)
    return Probed(data.facts["dataset"], embeddings, concepts, pcc.probe_logits(embeddings, concepts))


def matched_latents(one: Trained, model: Model, probed: list[Probed]) -> Described:
    """The latent of every concept, matched as `pcc_heldout` matches them, and the concept that is nearest to each."""
    matched: dict[int, list[MatchedTo]] = {}
    unmatched, tables = [], []
    for words in probed:
        codes = sparse_codes(one.variant, model.arrays, words.embeddings)
        found = pcc.correlations(codes, words.concepts, words.logits)
        tables.append(found.second)
        scores = pcc.held_out(found)
        for row, latent in enumerate(pcc.match(found.first).tolist()):
            concept = words.concepts[row]
            if latent < 0:
                unmatched.append(f"{words.dataset}: {concept.name}")
                continue
            on = _on(words.dataset, concept, found.second[row, latent])
            matched.setdefault(latent, []).append(MatchedTo(**on.model_dump(), pcc_heldout=_digits(scores[row])))
    concepts = [(words.dataset, concept) for words in probed for concept in words.concepts]
    table = np.concatenate(tables)
    nearest = {}
    for latent in matched:
        row = int(np.abs(table[:, latent]).argmax())
        nearest[latent] = _on(*concepts[row], table[row, latent])
    return Described(one, model, dict(sorted(matched.items())), nearest, unmatched)


def _on(dataset: str, concept: pcc.ConceptWords, correlation: float) -> OnConcept:
    words = int(concept.second.sum())
    return OnConcept(dataset=dataset, concept=concept.name, correlation=_digits(correlation), words=words)


def watch(store: Store, described: list[Described]) -> tuple[list[dict[int, Activity]], dict[str, int]]:
    """What the latents of every autoencoder do on the tokens of a store, by latent; and how many tokens of each split
    were looked at. One pass for all."""
    activities = [{latent: Activity() for latent in who.matched} for who in described]
    looked_at = {"test": 0, "train": 0}
    for split, chunk in stream(store):
        looked_at[split] += len(chunk.token)
        for who, doing in zip(described, activities, strict=True):
            codes = who.codes(chunk.activations)
            for latent, activity in doing.items():
                activity.add(codes[:, latent], split, chunk)
    return activities, looked_at


def active(doing: dict[int, Activity]) -> list[int]:
    """The latents that fired at all."""
    return [latent for latent, activity in doing.items() if activity.size is not None]


def _sample(held_out: Windows) -> Windows:
    return Windows(*(column[: max(1, READ_TOKENS // column.shape[1])] for column in held_out))


def effects_of(
    lm: PreTrainedModel, layer: str, described: list[Described], activities: list[dict[int, Activity]],
    sample: Windows, batch_tokens: int,
) -> list[NextTokens]:  # fmt: skip
    """What the mean code of every latent that fired does to next tokens, by its decoder direction; one per autoencoder."""
    found = []
    for who, doing in zip(described, activities, strict=True):
        some = active(doing)
        sizes = np.array([doing[latent].size for latent in some], np.float64)
        found.append(next_tokens(lm, layer, who.model.arrays["decoder"][some], sizes, sample, batch_tokens))
        logger.info("%s: next tokens of %d latents", who.one.facts["variant"], len(some))
    return found


def listed_changes(
    change: np.ndarray, latents: list[int], tokenizer: PreTrainedTokenizerBase
) -> dict[int, tuple[list[TokenChange], list[TokenChange]]]:
    """By latent the tokens that rise most, and those that fall most, of changes `[latents, vocabulary]`."""
    return {
        latent: (_most(row, tokenizer), _most(-row, tokenizer, -1)) for latent, row in zip(latents, change, strict=True)
    }


def _most(change: np.ndarray, tokenizer: PreTrainedTokenizerBase, sign: int = 1) -> list[TokenChange]:
    """The tokens with the largest changes above zero, told with a sign; of equal ones those of lower numbers."""
    ids = np.argsort(-change, kind="stable")[:TOKENS_SHOWN]
    ids = ids[change[ids] > 0]
    return [
        TokenChange(id=number, token=text, change=_digits(sign * change[number]))
        for number, text in zip(ids.tolist(), token_texts(tokenizer, ids), strict=True)
    ]


Place = tuple[int, int]
"""a document and a position in it"""


def _around(
    activities: list[dict[int, Activity]], windows: Path, manifest: Path, tokenizer: PreTrainedTokenizerBase
) -> dict[Place, Context]:
    """The text around every token on which any latent is strongest."""
    every = [activity.strongest for doing in activities for activity in doing.values()]
    places = sorted(
        {place for one in every for place in zip(one.document.tolist(), one.position.tolist(), strict=True)}
    )
    asked = np.array(places, np.int64).reshape(-1, 2)
    return dict(zip(places, contexts(windows, manifest, asked, tokenizer), strict=True))


def _variant_cards(
    who: Described, doing: dict[int, Activity], around: dict[Place, Context],
    changes: dict[int, tuple[list[TokenChange], list[TokenChange]]], held_out: int,
) -> VariantCards:  # fmt: skip
    cards = []
    for latent, activity in doing.items():
        edges, counts = activity.histogram.filled()
        raised, lowered = changes.get(latent, ([], []))
        fired = activity.fired["test"]
        card = Card(
            latent=latent, matched=who.matched[latent], nearest=who.nearest[latent],
            active=fired, frequency=_digits(fired / held_out), size=_digits(activity.size),
            histogram=Histogram(edges=[_digits(edge) for edge in edges], counts=counts.tolist()),
            contexts=_top_contexts(activity, around), raised=raised, lowered=lowered,
        )  # fmt: skip
        cards.append(card)
    facts, setting = who.one.facts, who.one.settings[who.model.setting]
    return VariantCards(
        variant=facts["variant"], kind=facts["kind"], codes=facts["codes"], params=setting, seed=who.model.seed,
        unmatched=who.unmatched, cards=cards,
    )  # fmt: skip


def _top_contexts(activity: Activity, around: dict[Place, Context]) -> list[TopContext]:
    columns = (column.tolist() for column in activity.strongest)
    return [
        TopContext(
            **around[document, position]._asdict(), code=_digits(code), split="test" if held else "train",
            document=document, position=position,
        )
        for code, document, position, held in zip(*columns, strict=True)
    ]  # fmt: skip


def _digits(value: float | None) -> float | None:
    """A number with as many digits as mean something."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
