"""What can be said of pairs before anything is trained on them: where they are not what the theory of shifts presumes.

Paper A (Sec. 2.4) presumes that representations are linear in concepts (Assumption 1), so that shifts are a few directions times
amplitudes, that these span all concepts that vary (2 and 3), that supports vary (4.1) and that amplitudes are continuous (4.2). Beyond
the paper a user wants to know of pairs that repeat, stand on both sides of the split, end in other tokens or hold most of the energy,
and how many would be enough. A finding is one sentence with a number, and an advice; where all is as presumed there is none.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shiftscope.evaluation.vector_card_file import Diagnosis, Finding
from shiftscope.files import read_json, read_parquet, write_json
from shiftscope.kinds import Strict
from shiftscope.pair_embeddings import PairEmbeddings, read_embeddings, training_pairs
from shiftscope.variants._sign_flips import significance
from shiftscope.vocabulary import SIGNIFICANT

logger = logging.getLogger(__name__)
TINY = 1e-8
"""share of the largest eigenvalue from which on one counts for the rank"""
DISCRETE = 5
"""values of a label up to which it is no continuous amplitude"""
LEADING = 8
"""directions that hold what affine maps of few concepts make"""
LEAST_LEADING = 0.5
"""share of the shifts' energy that these should hold"""
MOST_REPEATED = 0.1
"""share of pairs that may repeat others"""
LEAST_KNOWN, WANTED = 0.9, 0.95
"""cosine to what more pairs would give: below the first it is said how many would give the second"""
HALVES = 20
FLIPS = 499
"""of signs, in the test of whether pairs share anything"""
FEW, MOST_ENERGY = 0.05, 0.5
"""largest share of the pairs that may hold such a share of the energy"""
EQUAL_ENDS = 2 / 3
"""share of pairs with equal last tokens from which on the others are exceptions"""


class DiagnosisSlice(Strict):
    """The slice of the config of a diagnosis."""

    lm: str
    codes: list[int]
    """numbers of codes that are asked for"""


def write_diagnosis(
    asked: DiagnosisSlice, embeddings: Path, manifest: Path, pairs: Path, pairs_manifest: Path, lm: Path, out: Path
) -> None:
    """Look at the pairs of one dataset, say each finding as a warning, and write all."""
    data = read_embeddings(embeddings, manifest)
    ends = _last_tokens(pairs, pairs_manifest, lm)
    found = list(findings(data, asked.codes, ends))
    for one in found:
        logger.warning("%s %s", one["sentence"], one["advice"])
    told: Diagnosis = {
        "lm": asked.lm,
        "dataset": data.facts["dataset"],
        "pairs": len(data.rows("train")),
        "findings": found,
    }
    write_json(out, told)


def _last_tokens(pairs: Path, manifest: Path, lm: Path) -> np.ndarray:
    """The ids of the tokens at which both texts are read `[2, n]`."""
    from transformers import AutoTokenizer

    from shiftscope.activations.last_token import last_token_ids
    from shiftscope.activations.pairs import read_texts

    tokenizer = AutoTokenizer.from_pretrained(lm, local_files_only=True, trust_remote_code=False)
    texts = read_texts(read_parquet(pairs), read_json(manifest), tokenizer)
    return last_token_ids(tokenizer, texts).reshape(2, -1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def findings(data: PairEmbeddings, codes: list[int], ends: np.ndarray | None = None) -> Iterator[Finding]:
    """Everything that is found of the training pairs; `ends` `[2, n]` are the last tokens of all pairs' texts."""
    rows = data.rows("train")
    shifts = data.shifts(0, "train").astype(np.float64)
    yield from _repeats(data, rows)
    yield from _leaks(data, rows)
    if ends is not None:
        yield from _ends(ends[:, rows])
    usual = shifts[data.usual(0)]
    yield from _energy(shifts)
    yield from _rank(usual, codes)
    yield from _affine(usual)
    yield from _enough(usual, training_pairs(data, 0).component)
    if data.truths:
        truth = next(iter(data.truths.values()))[0, rows]
        names = data.facts["concepts"] if len(data.facts["concepts"]) == truth.shape[1] else [str(one) for one in range(truth.shape[1])]  # fmt: skip
        yield from _supports(truth, names)
        yield from _amplitudes(truth, names)


def _repeats(data: PairEmbeddings, rows: np.ndarray) -> Iterator[Finding]:
    if data.text is None:
        return
    texts = data.text[:, rows]
    repeated = len(rows) - np.unique(texts, axis=1).shape[1]
    if repeated > MOST_REPEATED * len(rows):
        yield Finding(
            check="duplicates",
            sentence=f"{repeated} of {len(rows)} training pairs repeat others.",
            advice="They count several times and add nothing: remove them.",
        )


def _leaks(data: PairEmbeddings, rows: np.ndarray) -> Iterator[Finding]:
    if data.text is None:
        return
    held_out = np.unique(data.text[:, data.rows("test")])
    shared = int(np.isin(held_out, data.text[:, rows]).sum())
    if shared:
        yield Finding(
            check="leaks",
            sentence=f"{shared} of {len(held_out)} held-out texts stand in training pairs, too.",
            advice="Held-out numbers are then too good: leave `group` out, or give groups that share no text.",
        )


def _ends(ends: np.ndarray) -> Iterator[Finding]:
    unequal = int((ends[0] != ends[1]).sum())
    share = unequal / ends.shape[1]
    if 0 < share <= 1 - EQUAL_ENDS:
        yield Finding(
            check="last tokens",
            sentence=f"{unequal} of {ends.shape[1]} training pairs end in different tokens, the others in the same.",
            advice="What these few differ by may be the token alone: a `template` that puts the same words after every text mends it.",
        )


def _energy(shifts: np.ndarray) -> Iterator[Finding]:
    energy = np.sort(np.square(shifts).sum(1))[::-1]
    few = max(1, int(FEW * len(energy)))
    share = energy[:few].sum() / max(energy.sum(), 1e-30)
    if share > MOST_ENERGY:
        yield Finding(
            check="energy",
            sentence=f"The longest {few} of {len(energy)} shifts hold {share:.0%} of their energy.",
            advice="They decide most of what is learned: see whether they differ in what the others do, or remove them.",
        )


def _rank(shifts: np.ndarray, codes: list[int]) -> Iterator[Finding]:
    values = np.linalg.eigvalsh(shifts @ shifts.T if len(shifts) < shifts.shape[1] else shifts.T @ shifts)
    rank = int((values > TINY * max(values.max(), 1e-30)).sum())
    if rank < max(codes, default=1):
        yield Finding(
            check="rank",
            sentence=f"The shifts span {_count(rank, 'direction')}, and {max(codes)} codes are asked for.",
            advice="More codes than directions cannot be told apart: ask for fewer, or give pairs that differ in more.",
        )


def _affine(shifts: np.ndarray) -> Iterator[Finding]:
    values = np.sort(np.square(np.linalg.svd(shifts, compute_uv=False)))[::-1]
    share = values[:LEADING].sum() / max(values.sum(), 1e-30)
    if share < LEAST_LEADING:
        yield Finding(
            check="affine",
            sentence=f"The leading {LEADING} directions hold {share:.0%} of the shifts' energy.",
            advice="An affine map of a few concepts would leave nearly all there. The rest differs from pair to pair: words, length, what "
            "nobody meant. Pairs that differ in less, or a `template` that ends every text alike, bring it down.",
        )


def _enough(shifts: np.ndarray, component: np.ndarray) -> Iterator[Finding]:
    """How well what pairs share is known, by halves of what hangs together: reliability r of a half, 2r / (1 + r) of all (Spearman-Brown)."""
    _, component = np.unique(component, return_inverse=True)
    n = int(component.max()) + 1
    if n < 4:
        return
    rng = np.random.default_rng(0)
    # what all share if they share anything, else the leading direction, which has no sign
    shares = significance(shifts, component, FLIPS) <= SIGNIFICANT
    agreed = []
    for _ in range(HALVES):
        side = (rng.permutation(n) % 2)[component]
        halves = [shifts[side == 0], shifts[side == 1]]
        one, other = (half.mean(0) if shares else np.linalg.svd(half, full_matrices=False)[2][0] for half in halves)
        agreed.append(abs(one @ other) / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30))
    half = float(np.clip(np.mean(agreed), 1e-3, 1))
    whole = 2 * half / (1 + half)
    known = np.sqrt(whole)
    if known < LEAST_KNOWN:
        wanted = WANTED**2
        needed = int(np.ceil(n * wanted / (1 - wanted) * (1 - whole) / whole / 10) * 10)
        what = "what all pairs share" if shares else "the leading direction"
        unit = "training pairs" if n == len(shifts) else "groups of training pairs that share texts"
        yield Finding(
            check="number of pairs",
            sentence=f"{n} {unit} tell {what} to a cosine of {known:.2f} with what more would give.",
            advice=f"About {needed} would make that {WANTED}.",
        )


def _supports(truth: np.ndarray, names: list[str]) -> Iterator[Finding]:
    """Assumption 4.1: for every concept, the supports without it hold all others.

    So for any two there is a pair in which the one changes without the other.
    """
    changes = truth != 0
    varying = [place for place in range(len(names)) if changes[:, place].any()]
    for one, other in itertools.combinations(varying, 2):
        alone = [int((changes[:, a] & ~changes[:, b]).sum()) for a, b in ((one, other), (other, one))]
        if all(alone):
            continue
        if not any(alone):
            both = int(changes[:, one].sum())
            sentence = (
                f"{names[one]} and {names[other]} change together in all {both} training pairs in which either does."
            )
        else:
            rare, always = (other, one) if alone[0] else (one, other)
            sentence = f"{names[rare]} never changes without {names[always]} in the {int(changes[:, rare].sum())} training pairs in which it does."
        yield Finding(
            check="supports",
            sentence=sentence,
            advice="What is the one's own cannot be told from what is the other's: add pairs in which each changes alone.",
        )


def _amplitudes(truth: np.ndarray, names: list[str]) -> Iterator[Finding]:
    """Assumption 4.2: given which concepts change, their amplitudes have a density.

    Labels of a few values never have one. Of continuous ones it is seen whether those that change together span as many dimensions.
    """
    values = [np.unique(np.abs(column[column != 0])) for column in truth.T]
    counts = [
        (name, len(some))
        for name, some, column in zip(names, values, truth.T, strict=True)
        if 0 < len(some) <= DISCRETE < (column != 0).sum()
    ]
    if counts:
        name, count = max(counts, key=lambda one: one[1])
        yield Finding(
            check="amplitudes",
            sentence=f"Labels are amplitudes of {_count(count, 'value')} at most ({name}), where the theory asks for ones that vary continuously.",
            advice="That sparsity finds the concepts is then not promised, but may hold: see what the labels say of the vectors.",
        )
        return
    seen: dict[tuple[bool, ...], list[np.ndarray]] = {}
    for row in truth:
        seen.setdefault(tuple(row != 0), []).append(row[row != 0])
    lacking: dict[tuple[int, ...], tuple[int, int]] = {}
    for support, rows in seen.items():
        which = tuple(int(place) for place in np.flatnonzero(support))
        rank = int(np.linalg.matrix_rank(np.array(rows))) if which else 0
        if len(which) > 1 and rank < len(which) and len(rows) >= len(which):
            lacking[which] = rank, len(rows)
    if lacking:
        which, (rank, rows) = min(lacking.items(), key=lambda item: (len(item[0]), -item[1][1]))
        yield Finding(
            check="amplitudes",
            sentence=f"In the {rows} training pairs in which {' and '.join(names[place] for place in which)} change together, their "
            f"amplitudes span {_count(rank, 'dimension')}, not {len(which)}.",
            advice="What always changes by the same ratio looks like one concept there: vary it, or rely on pairs in which one changes "
            "alone.",
        )
