"""What is known of exported steering vectors: what each rests on, what it does to a language model, and how it compares.

Nothing here needs labels. A vector's effect is measured on held-out pairs that carry it and go its way, by the code of the model
that it comes from: while the language model reads a pair's first text the vector is added, and its next-token law should become
that after the second: the share of the divergence between the two that this removes. Beside it, on the same pairs, the mean
difference, the first principal component and random directions of the same length; and what each dose costs in perplexity on neutral
texts. The pairs are the vector's own choice, which favours it over the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shiftscope.activations.model import load
from shiftscope.activations.pairs import read_texts
from shiftscope.activations.tokens import context_length
from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.base import random_directions
from shiftscope.evaluation.vector_card_file import DOSES, Rival, StrongPair, VectorCard, VectorsCard
from shiftscope.files import read_json, read_parquet
from shiftscope.kinds import Strict
from shiftscope.metrics.causal import divergences
from shiftscope.metrics.truthfulness import perplexity
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings, training_pairs
from shiftscope.steering.likelihood import Text, log_probabilities
from shiftscope.steering.next_law import NextLaw
from shiftscope.steering.vectors import FEWEST_NAMED, VectorFacts, read_about, read_others, read_vectors
from shiftscope.vocabulary import SHARED

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_PAIRS = 32
"""held-out pairs on which an effect is measured, a random sample"""
FEWEST_PAIRS = 10
"""pairs below which a share or an effect says little, which is said"""
STRONGEST, TOKENS, RANDOM = 5, 8, 9
"""pairs and next tokens that are named, and random directions beside each vector"""
MOSTLY = 0.75
"""share of a vector's training pairs below which it is said that they go either way"""
NEAR_COPY = 0.9
"""cosine from which on two vectors are called nearly the same"""
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
    """The card of one file of vectors; `state` keeps what was read.

    What cannot be measured on a language model (some cap their logits) is left out, and said among the caveats.
    """
    data, about = read_embeddings(inputs.embeddings, inputs.manifest), read_about(inputs.about)
    facts = read_json(inputs.pairs_manifest)
    model, tokenizer = load(inputs.lm, asked.dtype, asked.device_map)
    texts = read_texts(read_parquet(inputs.pairs), facts, tokenizer)
    said: list[str] = []
    effects = Effects(data, texts, _laws(model, tokenizer, about["layer"], asked.batch_tokens, said))
    found = read_vectors(inputs.vectors)
    vectors = {name: found[name] for name in about["names"]}
    stability = _stability(vectors, *read_others(inputs.others))
    width = data.embedding_0.shape[2]
    try:
        prices = perplexity_of(
            model, tokenizer, vectors, about["layer"], inputs.neutral, width, asked.batch_tokens, state
        )
    except ShiftScopeError as error:
        said.append(f"What vectors cost in perplexity was not measured: {error}.")
        prices = {}
    cards = [
        _vector_card(name, vectors, stability[name], about, effects, prices.get(name, [None] * len(DOSES)))
        for name in about["names"]
    ]
    held_out = len(data.rows("test"))
    card = VectorsCard(
        about=about, width=width, manifest=facts, held_out=held_out, largest_group=facts["largest_group"],
        perplexity=prices.get("", [None])[0], vectors=cards, unfollowed=_unfollowed(data, about), caveats=[],
    )  # fmt: skip
    return card | {"caveats": [*said, *caveats(card)]}


def _laws(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, layer: str, batch_tokens: int, said: list[str]
) -> NextLaw | None:
    """The model's next-token law under vectors; None, and why in `said`, if it cannot be had."""
    try:
        return NextLaw(model, tokenizer, layer, batch_tokens)
    except ShiftScopeError as error:
        said.append(f"What vectors do to the next token was not measured: {error}.")
        return None


def _unfollowed(data: PairEmbeddings, about: VectorFacts) -> list[str]:
    """Label columns that vary among enough held-out pairs, and that no vector follows there."""
    primary, rows = data.facts["primary_truth"], data.rows("test")
    if primary is None or len(rows) < FEWEST_NAMED:
        return []
    varies = data.truths[primary][0, rows].std(0) > 0
    return [
        name for name, some in zip(data.facts["concepts"], varies, strict=True) if some and name not in about["names"]
    ]


class Effects:
    """The pairs of a dataset as they were given, and what directions do to the language model on held-out ones."""

    def __init__(self, data: PairEmbeddings, texts: Sequence[str], laws: NextLaw | None) -> None:
        self.laws = laws
        rows, count = data.rows("test"), len(texts) // 2
        back = np.zeros(len(rows), bool) if data.back is None else data.back[rows]
        if data.facts.get("orientation") != "given":
            back = np.zeros(len(rows), bool)
        self.before, self.after = data.sides_as_given(0, "test")
        self.texts = [
            (texts[row + count], texts[row]) if turned else (texts[row], texts[row + count])
            for row, turned in zip(rows, back, strict=True)
        ]
        self.training = training_pairs(data, 0).shifts.astype(np.float64)
        usual = data.rows("train")[data.usual(0)]
        self.training_texts = [(texts[row], texts[row + count]) for row in usual]
        self.mean = self.training.mean(0)
        axes = np.linalg.svd(self.training - self.mean, full_matrices=False)[2]
        first = axes[0] if len(axes) else self.mean
        self.first = first * (1.0 if (self.training @ first).mean() >= 0 else -1.0)

    @property
    def shifts(self) -> np.ndarray:
        """δz `[n, d]` of held-out pairs, as given."""
        return (self.after - self.before).astype(np.float64)

    def law(self, rows: Sequence[int], side: int, vector: np.ndarray | None, dose: float = 1.0) -> np.ndarray:
        """Log-laws `[n, tokens]` after the first (0) or second (1) text of held-out pairs."""
        z = (self.before, self.after)[side][rows].astype(np.float32)
        added = None if vector is None else vector.astype(np.float32)
        return self.laws.log_law([self.texts[row][side] for row in rows], z, added, dose)

    def unit(self, name: str) -> np.ndarray:
        """A rival's direction, of length 1."""
        vector = dict(zip(RIVALS, (self.mean, self.first), strict=True))[name]
        return vector / max(np.linalg.norm(vector), 1e-30)


class Removal:
    """Held-out pairs, and what of the divergence between the laws after their two texts a direction removes."""

    def __init__(self, effects: Effects, rows: Sequence[int]) -> None:
        self.effects, self.rows = effects, rows
        self.target = np.exp(effects.law(rows, 1, None).astype(np.float64))
        self.without = divergences(self.target, effects.law(rows, 0, None))

    def by(self, vector: np.ndarray, dose: float = 1.0) -> tuple[float | None, float | None]:
        """The share that is gone, below 0 if it has grown, and its standard error over pairs (jackknife)."""
        under, n = divergences(self.target, self.effects.law(self.rows, 0, vector, dose)), len(self.rows)
        if self.without.sum() <= 0:
            return None, None
        left = under.sum() / self.without.sum()
        if n < 2 or (self.without.sum() - self.without).min() <= 0:
            return float(1 - left), None
        each = (under.sum() - under) / (self.without.sum() - self.without)
        return float(1 - left), float(np.sqrt((n - 1) * np.var(each)))


def _vector_card(
    name: str,
    vectors: Mapping[str, np.ndarray],
    stability: float | None,
    about: VectorFacts,
    effects: Effects,
    prices: Sequence[float | None],
) -> VectorCard:
    vector = vectors[name].astype(np.float64)
    length = float(np.linalg.norm(vector))
    unit = vector / length
    held_out = about["held_out"][name]
    draws = np.random.default_rng(1).permutation(held_out["rows"])
    rows = sorted(map(int, draws[:MOST_PAIRS])) if effects.laws else []
    goal = Removal(effects, rows) if rows else None
    removed = {dose: goal.by(vector, dose) if goal else (None, None) for dose in DOSES}
    energy = np.square(effects.training @ unit).sum() / max(np.square(effects.training).sum(), 1e-30)
    near = [
        (other, float(unit @ vectors[other] / np.linalg.norm(vectors[other])))
        for other in about["names"]
        if other != name
    ]
    raised, lowered = _tokens(effects, vector, rows)
    return VectorCard(
        name=name, length=length, pairs=about["pairs"][name], forward=about["forward"][name],
        forward_held_out=held_out["forward"], along=float((effects.shifts @ unit > 0).mean()), carriers=held_out["pairs"], measured=len(rows), energy=float(energy),
        stability=stability, to_mean=float(unit @ effects.unit(RIVALS[0])), near=sorted(near, key=lambda one: -abs(one[1])),
        strongest=_strongest(effects, unit, length), raises=raised, lowers=lowered,
        removed={str(dose): share for dose, (share, _) in removed.items()}, removed_error=removed[1.0][1],
        perplexity=dict(zip(map(str, DOSES), prices, strict=True)),
        rivals=_rivals(goal, effects, rows, length, about["seed"]) if goal else [],
    )  # fmt: skip


def _stability(
    vectors: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray], seeds: Sequence[int]
) -> dict[str, float | None]:
    """By vector the median, over other seeds, of its absolute cosine with the one of theirs that is matched to it, one to one.

    A seed that exported none counts as 0. What all pairs share comes from no seed.
    """
    from scipy.optimize import linear_sum_assignment

    names = [name for name in vectors if name != SHARED]
    found: dict[str, list[float]] = {name: [] for name in names}
    for seed in seeds:
        theirs = [vector for name, vector in others.items() if name.startswith(f"seed_{seed}.")]
        cosines = np.array([[_cosine(vectors[name], other) for other in theirs] for name in names]).reshape(
            len(names), -1
        )
        matched = dict(zip(*linear_sum_assignment(cosines, maximize=True), strict=True)) if theirs else {}
        for place, name in enumerate(names):
            found[name].append(float(cosines[place, matched[place]]) if place in matched else 0.0)
    medians = {name: float(np.median(values)) if values else None for name, values in found.items()}
    return dict.fromkeys(vectors) | medians


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return abs(float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30)))


def _strongest(effects: Effects, unit: np.ndarray, length: float) -> list[StrongPair]:
    projection = effects.training @ unit
    order = np.argsort(-np.abs(projection), kind="stable")[:STRONGEST]
    found = []
    for row in order:
        first, second = effects.training_texts[row]
        found.append(StrongPair(text_0=first, text_1=second, times=float(projection[row] / length)))
    return found


def _tokens(effects: Effects, vector: np.ndarray, rows: Sequence[int]) -> tuple[list[str], list[str]]:
    """The next tokens that a vector makes likelier and unlikelier most, by their mean probability after the pairs' first texts."""
    if not rows:
        return [], []
    change = (np.exp(effects.law(rows, 0, vector)) - np.exp(effects.law(rows, 0, None))).mean(0)
    tokenizer = effects.laws.tokenizer
    order = np.argsort(-change, kind="stable")
    order = order[order < len(tokenizer)]
    raised, lowered = ([tokenizer.decode([int(token)]) for token in one[:TOKENS]] for one in (order, order[::-1]))
    return raised, lowered


def _rivals(goal: Removal, effects: Effects, rows: Sequence[int], length: float, seed: int) -> list[Rival]:
    """On the pairs of the vector: other directions of its length; of random ones the mean and the largest."""
    shifts = effects.shifts[rows]

    def share(direction: np.ndarray) -> float:
        return float((shifts @ direction > 0).mean())

    found = [
        Rival(
            name=name, removed=goal.by(effects.unit(name) * length)[0], forward=share(effects.unit(name)), largest=None
        )
        for name in RIVALS
    ]
    drawn = random_directions(RANDOM, seed, 0, shifts.shape[1])
    known = [removed for one in drawn if (removed := goal.by(one * length)[0]) is not None]
    mean, largest = (float(np.mean(known)), max(known)) if known else (None, None)
    forward = float(np.mean([share(one) for one in drawn]))
    return [*found, Rival(name=f"{RANDOM} random directions", removed=mean, forward=forward, largest=largest)]


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
    """Perplexity of neutral texts: `""` without steering, and of each vector under all doses as a multiple of that.

    Raises:
        ShiftScopeError: the model does more to its logits than to unembed the final norm, or its tokenizer has no file.
    """
    lines = neutral.read_text(encoding="utf-8").splitlines()
    texts = [
        Text(_cut(line, tokenizer, context_length(model)), 0, f"{neutral} line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    steerings = [np.zeros(width), *(dose * vector for vector in vectors.values() for dose in DOSES)]
    likely, tokens = log_probabilities(
        model, tokenizer, texts, layer, np.stack(steerings).astype(np.float32),
        batch_tokens=batch_tokens, state=state, progress="perplexity under steering",
    )  # fmt: skip
    found = perplexity(likely, tokens)
    ratios = (found[1:] / found[0]).reshape(len(vectors), len(DOSES)).tolist()
    return {"": [float(found[0])]} | dict(zip(vectors, ratios, strict=True))


def _cut(text: str, tokenizer: PreTrainedTokenizerBase, context: int | None) -> str:
    """As much of a text from its beginning as the model reads."""
    if context is None or not tokenizer.is_fast:
        return text
    ends = [end for _, end in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
    return text if len(ends) <= context else text[: ends[context - 1]]


def caveats(card: VectorsCard) -> list[str]:
    """What a user should know before trusting the vectors, a sentence each."""
    found = []
    if card["held_out"] < FEWEST_PAIRS:
        found.append(f"Only {card['held_out']} pairs are held out: shares and effects on them say little.")
    names, shares = card["about"]["names"], card["manifest"].get("orientation") == "given"
    if names and shares and SHARED not in names and card["about"]["kind"] != SHARED:
        found.append(
            "By a test of flipped signs the pairs share no shift: nothing is known to change from the first texts to the second in all."
        )
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
    if one["forward"] < MOSTLY:
        yield (
            f"goes one way in {one['forward']:.0%} of the training pairs that carry it and the other way in the rest: it tells them apart, but "
            "adding it is not what turns first texts into second ones."
        )
    if one["pairs"] < FEWEST_PAIRS:
        yield f"rests on {one['pairs']} training pairs only."
    if one["carriers"] < FEWEST_PAIRS:
        yield f"is carried by {one['carriers']} held-out pairs only: what it does is hardly measured."
        return
    removed, error = one["removed"]["1.0"], one["removed_error"]
    if removed is None:
        return
    by_name = {rival["name"]: rival for rival in one["rivals"]}
    chance = next((rival["largest"] for rival in one["rivals"] if rival["largest"] is not None), None)
    if chance is not None and removed - 2 * (error or 0.0) <= max(chance, 0.0):
        yield (
            f"removes {removed:.0%} of the divergence at scale 1, not clearly more than the best of {RANDOM} random directions ({chance:.0%}) or "
            "than none: added where it was read it hardly steers. Another layer may do better (make vectors: LAYER=resid_post.L)."
        )
    by_mean = by_name[RIVALS[0]]["removed"]
    if by_mean is not None and by_mean > removed + 2 * (error or 0.0):
        yield (
            f"removes less of the divergence ({removed:.0%}{'' if error is None else f' ± {error:.0%}'}) than the mean difference of the "
            f"same length does ({by_mean:.0%})."
        )
