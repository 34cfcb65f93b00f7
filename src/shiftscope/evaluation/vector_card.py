"""What is known of exported steering vectors: what each rests on, what it does to a language model, and how it compares.

Nothing here needs labels. A vector's effect is measured on held-out pairs that carry it: while the model reads a pair's first
text the vector is added, and its next-token law should become that after the second: the share of the divergence between the
two that this removes. Beside it, on the same pairs, the mean difference, the first principal component and random directions of the same length; and what each
dose costs in perplexity on neutral texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shiftscope.activations.model import load
from shiftscope.activations.pairs import read_texts
from shiftscope.activations.tokens import context_length
from shiftscope.evaluation.base import random_directions
from shiftscope.evaluation.vector_card_file import DOSES, Rival, StrongPair, VectorCard, VectorsCard
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.metrics.causal import divergence
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings, training_pairs
from shiftscope.steering.likelihood import Text, log_probabilities
from shiftscope.steering.next_law import NextLaw
from shiftscope.steering.vectors import VectorFacts, read_about, read_vectors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_PAIRS = 32
"""held-out pairs on which an effect is measured"""
FEWEST_PAIRS = 10
"""held-out pairs below which a share or an effect says little, which is said"""
STRONGEST, TOKENS, RANDOM = 5, 8, 5
"""pairs and next tokens that are named, and random directions beside each vector"""
NEAR_COPY = 0.9
"""cosine from which on two vectors are called near-copies"""
RIVALS = ("mean difference", "first principal component")
"""directions that stand beside every vector"""


class CardSlice(Strict):
    """The slice of the config of a card of vectors."""

    lm: str
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None = None


class CardInputs(NamedTuple):
    """The files that a card is made of."""

    embeddings: Path
    manifest: Path
    pairs: Path
    pairs_manifest: Path
    lm: Path
    vectors: Path
    others: Path
    about: Path
    neutral: Path


def card_of(asked: CardSlice, inputs: CardInputs, state: Path) -> VectorsCard:
    """The card of one file of vectors.

    Raises:
        ShiftScopeError: the language model caps its logits after the final norm, or there is no neutral text.
    """
    data, about = read_embeddings(inputs.embeddings, inputs.manifest), read_about(inputs.about)
    facts = read_json(inputs.pairs_manifest)
    model, tokenizer = load(inputs.lm, asked.dtype, asked.device_map)
    texts = read_texts(read_parquet(inputs.pairs), facts, tokenizer)
    effects = Effects(data, texts, NextLaw(model, tokenizer, about["layer"], asked.batch_tokens))
    found = read_vectors(inputs.vectors)
    vectors = {name: found[name] for name in about["names"]}
    others = read_vectors(inputs.others)
    width = data.embedding_0.shape[2]
    perplexities = perplexity_of(
        model, tokenizer, vectors, about["layer"], inputs.neutral, width, asked.batch_tokens, state
    )
    cards = [_vector_card(name, vectors, others, about, effects, perplexities) for name in about["names"]]
    concepts = data.facts["concepts"]
    card = VectorsCard(
        about=about, width=width, manifest=facts, held_out=len(data.rows("test")),
        largest_group=int(np.unique(data.group, return_counts=True)[1].max()), perplexity=perplexities[""][0],
        vectors=cards, unfollowed=[one for one in concepts if one not in about["names"]], caveats=[],
    )  # fmt: skip
    return card | {"caveats": caveats(card)}


class Effects:
    """The held-out pairs of a dataset, and what directions do to the language model there."""

    def __init__(self, data: PairEmbeddings, texts: Sequence[str], laws: NextLaw) -> None:
        self.data, self.laws = data, laws
        self.rows = data.rows("test")
        count = len(texts) // 2
        sides = [[texts[row] for row in self.rows], [texts[row + count] for row in self.rows]]
        given = data.sides_as_given(0, "test")
        back = np.zeros(len(self.rows), bool) if data.back is None else data.back[self.rows]
        if data.facts.get("orientation") != "given":
            back = np.zeros(len(self.rows), bool)
        self.before, self.after = given
        self.texts = [
            (second, first) if turned else (first, second) for first, second, turned in zip(*sides, back, strict=True)
        ]
        self.training = training_pairs(data, 0).shifts.astype(np.float64)
        rows = data.rows("train")[data.usual(0)]
        self.training_texts = [(texts[row], texts[row + count]) for row in rows]
        self.mean = self.training.mean(0)
        _, _, axes = np.linalg.svd(self.training - self.mean, full_matrices=False)
        first = axes[0] if len(axes) else self.mean
        self.first = first * (1.0 if (self.training @ first).mean() >= 0 else -1.0)

    @property
    def shifts(self) -> np.ndarray:
        """δz `[n, d]` of held-out pairs, as given."""
        return (self.after - self.before).astype(np.float64)

    def carriers(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which held-out pairs carry a vector: their projection is half its length or more, either way; and which way, ±1."""
        length = np.linalg.norm(vector)
        projection = self.shifts @ vector / length
        rows = np.flatnonzero(np.abs(projection) >= length / 2)
        return rows, np.sign(projection[rows])

    def law(
        self, rows: np.ndarray, way: np.ndarray, side: int, vector: np.ndarray | None, dose: float = 1.0
    ) -> np.ndarray:
        """Log-laws `[n, tokens]` after the first (0) or second (1) text of pairs, each read the way that `way` says."""
        places = [side if sign > 0 else 1 - side for sign in way]
        texts = [self.texts[row][place] for row, place in zip(rows, places, strict=True)]
        both = self.before, self.after
        z = np.stack([both[place][row] for row, place in zip(rows, places, strict=True)]).astype(np.float32)
        return self.laws.log_law(texts, z, None if vector is None else vector.astype(np.float32), dose)

    def unit(self, name: str) -> np.ndarray:
        """A rival's direction, of length 1."""
        vector = dict(zip(RIVALS, (self.mean, self.first), strict=True))[name]
        return vector / max(np.linalg.norm(vector), 1e-30)


def _vector_card(
    name: str,
    vectors: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray],
    about: VectorFacts,
    effects: Effects,
    perplexities: Mapping[str, list[float]],
) -> VectorCard:
    vector = vectors[name].astype(np.float64)
    length = float(np.linalg.norm(vector))
    unit = vector / length
    rows, way = effects.carriers(vector)
    all_rows = rows
    rows, way = rows[:MOST_PAIRS], way[:MOST_PAIRS]
    energy = np.square(effects.training @ unit).sum() / max(np.square(effects.training).sum(), 1e-30)
    projection = effects.shifts @ unit
    near = [(other, float(unit @ vectors[other] / np.linalg.norm(vectors[other]))) for other in about["names"] if other != name]  # fmt: skip
    raised, lowered = _tokens(effects, vector)
    return VectorCard(
        name=name, length=length, pairs=about["pairs"][name], forward=about["forward"][name],
        forward_held_out=float((projection[all_rows] > 0).mean()) if len(all_rows) else None, carriers=len(all_rows),
        energy=float(energy), stability=_stability(unit, others),
        to_mean=float(unit @ effects.unit(RIVALS[0])), near=sorted(near, key=lambda one: -abs(one[1])),
        strongest=_strongest(effects, unit, length), raises=raised, lowers=lowered,
        removed=_removed(effects, rows, way, vector), perplexity=dict(zip(map(str, DOSES), perplexities[name], strict=True)),
        rivals=_rivals(effects, rows, way, length, about["seed"]),
    )  # fmt: skip


def _stability(unit: np.ndarray, others: Mapping[str, np.ndarray]) -> float | None:
    by_seed: dict[str, list[float]] = {}
    for name, vector in others.items():
        norm = np.linalg.norm(vector)
        if norm > 0:
            by_seed.setdefault(name.partition(".")[0], []).append(abs(float(unit @ vector / norm)))
    return float(np.median([max(found) for found in by_seed.values()])) if by_seed else None


def _strongest(effects: Effects, unit: np.ndarray, length: float) -> list[StrongPair]:
    projection = effects.training @ unit
    order = np.argsort(-np.abs(projection), kind="stable")[:STRONGEST]
    found = []
    for row in order:
        first, second = effects.training_texts[row] if projection[row] > 0 else effects.training_texts[row][::-1]
        found.append(StrongPair(text_0=first, text_1=second, times=float(abs(projection[row]) / length)))
    return found


def _tokens(effects: Effects, vector: np.ndarray) -> tuple[list[str], list[str]]:
    """The next tokens that a vector makes likelier and unlikelier most, by their mean probability after held-out first texts."""
    some = np.arange(min(len(effects.rows), MOST_PAIRS))
    forth = np.ones(len(some))
    change = (np.exp(effects.law(some, forth, 0, vector)) - np.exp(effects.law(some, forth, 0, None))).mean(0)
    tokenizer = effects.laws.tokenizer
    order = np.argsort(-change, kind="stable")
    order = order[order < len(tokenizer)]
    raised, lowered = ([tokenizer.decode([int(token)]) for token in one[:TOKENS]] for one in (order, order[::-1]))
    return raised, lowered


def _removed(effects: Effects, rows: np.ndarray, way: np.ndarray, vector: np.ndarray) -> dict[str, float | None]:
    """What is removed under each dose, over pairs that carry the vector."""
    if not len(rows):
        return {str(dose): None for dose in DOSES}
    goal = _removal(effects, rows, way)
    return {str(dose): goal.by(effects.law(rows, way, 0, vector, dose)) for dose in DOSES}


class Removal(NamedTuple):
    """The laws of some pairs: that after their second texts is where steering should lead."""

    target: np.ndarray
    """probabilities `[n, tokens]`"""
    without: float
    """divergence of the unsteered law from it, in nats"""

    def by(self, steered: np.ndarray) -> float | None:
        """Share of the divergence that is gone under log-laws `[n, tokens]`; below 0 it has grown."""
        return 1 - divergence(self.target, steered) / self.without if self.without > 0 else None


def _removal(effects: Effects, rows: np.ndarray, way: np.ndarray) -> Removal:
    first, second = (effects.law(rows, way, side, None) for side in (0, 1))
    target = np.exp(second.astype(np.float64))
    return Removal(target, divergence(target, first))


def _rivals(effects: Effects, rows: np.ndarray, way: np.ndarray, length: float, seed: int) -> list[Rival]:
    """On the pairs that carry the vector, each turned its way: other directions of the vector's length."""
    if not len(rows):
        return []
    goal = _removal(effects, rows, way)
    shifts = effects.shifts[rows] * way[:, None]

    def effect(direction: np.ndarray) -> tuple[float | None, float]:
        removed = goal.by(effects.law(rows, way, 0, direction * length))
        return removed, float((shifts @ direction > 0).mean())

    found = [
        Rival(name=name, removed=removed, forward=forward, largest=None)
        for name in RIVALS
        for removed, forward in [effect(effects.unit(name))]
    ]
    drawn = [effect(one) for one in random_directions(RANDOM, seed, 0, shifts.shape[1])]
    known = [one for one, _ in drawn if one is not None]
    forward = float(np.mean([share for _, share in drawn]))
    mean = float(np.mean(known)) if known else None
    return [
        *found,
        Rival(name=f"{RANDOM} random directions", removed=mean, forward=forward, largest=max(known, default=None)),
    ]


def perplexity_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    vectors: Mapping[str, np.ndarray],
    layer: str,
    neutral: Path,
    width: int,
    batch_tokens: int,
    state: Path,
) -> dict[str, list[float]]:
    """Perplexity of neutral texts: `""` without steering, and of each vector under all doses as a multiple of that."""
    from shiftscope.metrics.truthfulness import perplexity

    lines = neutral.read_text(encoding="utf-8").splitlines()
    texts = [
        Text(_cut(line, tokenizer, context_length(model)), 0, f"{neutral} line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    steerings = [np.zeros(width)]
    steerings += [dose * vector for vector in vectors.values() for dose in DOSES]
    likely, tokens = log_probabilities(
        model, tokenizer, texts, layer, np.stack(steerings).astype(np.float32),
        batch_tokens=batch_tokens, state=state, progress="perplexity under steering",
    )  # fmt: skip
    found = perplexity(likely, tokens)
    ratios = (found[1:] / found[0]).reshape(len(vectors), len(DOSES)).tolist()
    return {"": [float(found[0])]} | dict(zip(vectors, ratios, strict=True))


def _cut(text: str, tokenizer: PreTrainedTokenizerBase, context: int | None) -> str:
    """As much of a text from its beginning as the model reads."""
    ends = [end for _, end in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
    return text if context is None or len(ends) <= context else text[: ends[context - 1]]


def caveats(card: VectorsCard) -> list[str]:
    """What a user should know before trusting the vectors, a sentence each."""
    found = []
    if card["held_out"] < FEWEST_PAIRS:
        found.append(f"Only {card['held_out']} pairs are held out: shares and effects on them say little.")
    found += _copies(card["vectors"])
    for one in card["vectors"]:
        found += [f"{one['name']} {said}" for said in _doubts(one)]
    found += [f"No vector follows the label {name} on held-out pairs." for name in card["unfollowed"]]
    if card["about"]["names"] and not card["about"]["correlations"]:
        found.append(
            "No vector has a name of its own: without labels it is known that directions vary apart from each other, not what they "
            "mean. Read the pairs that each tells most of."
        )
    return found


def _copies(vectors: Sequence[VectorCard]) -> Iterator[str]:
    """Vectors that are nearly the same, each pair once."""
    order = [one["name"] for one in vectors]
    for place, one in enumerate(vectors):
        later = {name: cosine for name, cosine in one["near"] if abs(cosine) >= NEAR_COPY and order.index(name) > place}
        if later:
            copies = ", ".join(f"{name} ({later[name]:.2f})" for name in order if name in later)
            yield f"{one['name']} is nearly the same as {copies}: they tell of one change, not of several."


def _doubts(one: VectorCard) -> Iterator[str]:
    """What speaks against one vector, without its name."""
    if one["stability"] is not None and one["stability"] < NEAR_COPY:
        yield f"is not the same from every seed (cosine {one['stability']:.2f}): these pairs do not identify its direction."
    if one["pairs"] < FEWEST_PAIRS:
        yield f"rests on {one['pairs']} training pairs only."
    if one["carriers"] < FEWEST_PAIRS:
        yield f"is carried by {one['carriers']} held-out pairs only: what it does is hardly measured."
        return
    removed, best = one["removed"]["1.0"], max((value or 0.0 for value in one["removed"].values()), default=0.0)
    chance = next((rival["largest"] for rival in one["rivals"] if rival["largest"] is not None), None)
    if removed is not None and chance is not None and best <= max(chance, 0.0):
        yield (
            f"brings the next token's law no nearer to what it should be ({removed:.0%} at scale 1, {best:.0%} at best) than a random "
            f"direction does ({chance:.0%}): added where it was read it hardly steers."
        )
    by_mean = next((rival["removed"] for rival in one["rivals"] if rival["name"] == RIVALS[0]), None)
    if removed is not None and by_mean is not None and by_mean > removed + 0.05:
        yield f"removes less of the divergence ({removed:.0%}) than the mean difference of the same length does ({by_mean:.0%})."
