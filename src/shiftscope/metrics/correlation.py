"""Mean correlation coefficient (MCC) and the linear readability that bounds it."""

import math

import numpy as np

from shiftscope.metrics.base import Metric

MCC_TRUTH = Metric(
    "mcc_truth", "MCC, truth",
    "Codes of held-out pairs against the true concept shifts: mean absolute correlation after the best one-to-one "
    "matching; 1 means equal up to order and scale.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
MCC_OTHER_TRUTH = Metric(
    "mcc_truth_*", "MCC, truth", "As `mcc_truth`, against another truth of the dataset than its primary one.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
MCC_TWO_CODES = Metric(
    "mcc_two_codes", "MCC, two codes",
    "As `mcc_truth`, but a concept may be spread over two codes, as one with two signs is where no code is negative: "
    "correlation with the best combination of its matched code and one of the others, or with the first alone.",
    "seed", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
LINEAR_R2 = Metric(
    "linear_r2", "linear R²", "How well the true shifts are predicted linearly from the codes of held-out pairs.",
    "seed", higher_is_better=True, limits=(-math.inf, 1),
)  # fmt: skip
MCC_SEEDS_DECODER = Metric(
    "mcc_seeds_decoder", "MCC, seeds",
    "Decoder directions of two training seeds against each other, over all pairs of seeds; consistency, not truth.",
    "pair of seeds", higher_is_better=True, limits=(0, 1),
)  # fmt: skip
MCC_SEEDS_CODES = Metric(
    "mcc_seeds_codes", "MCC, seeds (codes)", "Codes of held-out pairs of two training seeds against each other.",
    "pair of seeds", higher_is_better=True, limits=(0, 1),
)  # fmt: skip

MCC_SEEDS_REFERENCE = Metric(
    "mcc_seeds_reference", "MCC, seeds (up to reference)",
    "As `mcc_seeds_codes`, up to what a truth of one-hot values leaves arbitrary: with a code less than values in each "
    "block, as many codes as are missing count as found if the other seed's codes of the same block add up to them.",
    "pair of seeds", higher_is_better=True, limits=(0, 1),
)  # fmt: skip


def signed_correlation(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Pearson between every column of `left` `[n, k]` and of `right` `[n, m]`, `[k, m]`; 0 for a constant column."""
    return _standardised(left).T @ _standardised(right)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns without their mean and of unit norm; 0 where all that varies is rounding, whatever the units."""
    columns = columns.astype(np.float64)
    centred = columns - columns.mean(0)
    norms = np.linalg.norm(centred, axis=0)
    return centred / np.where(norms > 1e-9 * np.linalg.norm(columns, axis=0), norms, np.inf)


def mcc(left: np.ndarray, right: np.ndarray) -> float:
    """Mean |Pearson| of the best one-to-one match of columns (paper A, App. B.1.4; Hyvarinen & Morioka 2016).

    `left` is `[n, k]`, `right` `[n, m]`; the mean runs over the min(k, m) matched pairs. A constant column (a dead
    code) has correlation 0, so a model gains nothing by having fewer live codes than there are concepts. Invariant
    to permutation, scale and sign of columns; 1 if and only if they agree up to these.
    """
    from scipy.optimize import linear_sum_assignment  # here, for tables read this file while the Snakefile is parsed

    correlation = np.abs(signed_correlation(left, right))
    return float(correlation[linear_sum_assignment(correlation, maximize=True)].mean())


def mcc_two_codes(codes: np.ndarray, truth: np.ndarray) -> float:
    """`mcc` of codes `[n, k]` and `[n, m]` true shifts after every matched concept may take a second code, never below it.

    Codes are matched one to one as by `mcc`; then those that are left, where they raise the multiple correlation most.
    """
    from scipy.optimize import linear_sum_assignment

    correlation = signed_correlation(codes, truth)
    code, concept = linear_sum_assignment(np.abs(correlation), maximize=True)
    first = correlation[code, concept]
    second, between = correlation[:, concept], signed_correlation(codes, codes[:, code])
    free = 1 - np.square(between)  # what of a second code the first does not say
    gain = np.square(second - between * first) / np.where(free > 1e-9, free, np.inf)
    gain[code] = 0  # a code has one concept
    other, place = linear_sum_assignment(gain, maximize=True)
    explained = np.square(first)
    explained[place] += gain[other, place]
    return float(np.sqrt(np.minimum(explained, 1)).mean())


def blocks_of(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The block of every column of a truth `[n, m]`, and by block how many of its columns the others determine.

    Columns depend on each other within a block alone: one-hot columns of one attribute are a block, whose shifts add up
    to zero, so that one of its values can be the reference that has no code. A column that depends on none is a block
    of its own, and determined by none.
    """
    from scipy.sparse.csgraph import connected_components

    moment = truth.T.astype(np.float64) @ truth
    eigenvalues, vectors = np.linalg.eigh(moment)
    null = vectors[:, eigenvalues < 1e-9 * eigenvalues[-1]]
    projector = null @ null.T
    blocks = connected_components(np.abs(projector) > 1e-6)[1]
    free = np.rint(np.bincount(blocks, np.diag(projector))).astype(int)
    return blocks, np.where(np.bincount(blocks) > 1, free, 0)  # a column that never varies depends on none


def mcc_up_to_reference(left: np.ndarray, right: np.ndarray, truth: np.ndarray, training: np.ndarray) -> float:
    """`mcc` of codes `[n, k]` of two seeds, up to the reference values that one-hot codes leave arbitrary.

    27 codes for three attributes of ten values have no code for one value of each, and which one is up to the seed;
    its code is minus the sum of the others. So in each block of the truth the worst matched codes, one for each column
    that others determine, are compared with the best linear combination of the other seed's codes of that block. All
    other codes must agree one to one: a rotation does not pass, neither within a block nor beyond it.

    Args:
        left: codes of one seed; those of `right`, the other's, are compared with them.
        truth: `[n, m]`, by which a code belongs to the block of the column that it matches.
        training: the truth of training pairs `[n, m]`, which tells the blocks.
    """
    from scipy.optimize import linear_sum_assignment

    blocks, free = blocks_of(training)

    def block_of_codes(codes: np.ndarray) -> np.ndarray:
        to_truth = np.abs(signed_correlation(codes, truth))
        found = np.full(codes.shape[1], -1)
        code, column = linear_sum_assignment(to_truth, maximize=True)
        found[code] = blocks[column]
        return found

    mine, others = block_of_codes(left), block_of_codes(right)
    between = np.abs(signed_correlation(left, right))
    rows, columns = linear_sum_assignment(between, maximize=True)
    matched = between[rows, columns]
    for block in np.flatnonzero(free):
        here = np.flatnonzero(others[columns] == block)
        worst = here[np.argsort(matched[here], kind="stable")][: free[block]]
        for place in worst:
            matched[place] = max(matched[place], _multiple(left[:, mine == block], right[:, columns[place]]))
    return float(matched.mean())


def _multiple(columns: np.ndarray, one: np.ndarray) -> float:
    """Correlation of `one` `[n]` with its best linear combination of `columns` `[n, k]`; 0 if there is none."""
    predictors = _standardised(columns)
    prediction = predictors @ np.linalg.lstsq(predictors, _standardised(one[:, None]), rcond=None)[0]
    return abs(float(signed_correlation(prediction, one[:, None])[0, 0]))


def mcc_of_directions(left: np.ndarray, right: np.ndarray) -> float:
    """MCC of decoder directions, rows of `[k, d]`, with the d entries as observations (paper A, Table 2)."""
    return mcc(left.T, right.T)


def varying(truth: np.ndarray) -> np.ndarray:
    """Which columns of `[n, m]` vary: a concept that never changes in these pairs can correlate with nothing."""
    return np.ptp(truth, axis=0) > 0


def readout(features: np.ndarray, truth: np.ndarray, features_test: np.ndarray) -> np.ndarray:
    """Ridge prediction of `truth` `[n, m]` from `features` `[n, f]`, fitted on one split and applied to another.

    The ridge is the one of nine, each ten times the last, around the features' energy, that predicts rows best when
    they are left out.
    """
    from sklearn.linear_model import RidgeCV

    features, truth = features.astype(np.float64), np.asarray(truth, np.float64).reshape(len(features), -1)
    if len(features) < 2:
        return np.tile(truth.mean(0), (len(features_test), 1))
    energy = float(np.square(features).sum(1).mean()) or 1.0
    ridge = RidgeCV(alphas=energy * np.logspace(-6, 2, 9)).fit(features, truth)
    return ridge.predict(features_test).reshape(len(features_test), -1)


def linear_r2(codes: np.ndarray, truth: np.ndarray, codes_test: np.ndarray, truth_test: np.ndarray) -> float:
    """Held-out R² of true shifts predicted linearly from codes, mean over concepts (paper A, App. B.1.4).

    It says whether a model identifies the concepts' span; MCC whether it also finds its axes.
    """
    from sklearn.metrics import r2_score

    prediction, keep = readout(codes, truth, codes_test), varying(truth_test)
    return float(r2_score(truth_test[:, keep].astype(np.float64), prediction[:, keep]))


def readability(shifts: np.ndarray, truth: np.ndarray, shifts_test: np.ndarray, truth_test: np.ndarray) -> float:
    """The ceiling of `mcc_truth`: mean correlation of true shifts with their held-out linear readout from δz."""
    prediction = readout(shifts, truth, shifts_test)
    keep = varying(truth_test)
    matched = [abs(signed_correlation(prediction[:, [j]], truth_test[:, [j]])[0, 0]) for j in np.flatnonzero(keep)]
    return float(np.mean(matched))
