"""Mean correlation coefficient (MCC) and the linear readability that bounds it."""

import numpy as np


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
    correlation = np.abs(signed_correlation(left, right))
    return float(correlation[matched(correlation)].mean())


def matched(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the one-to-one match with the highest sum of scores `[k, m]`, min(k, m) of each.

    Every row takes the column that it scores best with; rows that find it taken are matched by shortest augmenting
    paths (Jonker and Volgenant 1987, as in Crouse 2016). It is scipy's `linear_sum_assignment`, whose import takes
    longer than most evaluations.

    Raises:
        ValueError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores to be matched must be finite")
    if scores.shape[0] > scores.shape[1]:
        columns, rows = matched(scores.T)
        order = rows.argsort()
        return rows[order], columns[order]
    of_row, of_column = (np.full(size, -1) for size in scores.shape)
    columns, rows = np.unique(scores.argmax(1), return_index=True)
    of_row[rows], of_column[columns] = columns, rows
    price_of_row, price = scores.max(1), np.zeros(scores.shape[1])  # duals: score ≤ sum of both, equal where matched
    for start in np.flatnonzero(of_row < 0):
        length, before = np.full(len(price), np.inf), np.full(len(price), -1)
        closed, passed = np.zeros(len(price)), []  # ∞ where the shortest path is known
        row, shortest = start, 0.0
        while True:
            reached = shortest + price_of_row[row] + price - scores[row] + closed
            nearer = reached < length
            length[nearer], before[nearer] = reached[nearer], row
            column = int((length + closed).argmin())
            row, shortest = of_column[column], length[column]
            if row < 0:
                break
            closed[column] = np.inf
            passed.append(column)
        gain = shortest - length[passed]
        price_of_row[start] -= shortest
        price_of_row[of_column[passed]] -= gain
        price[passed] += gain
        while column >= 0:  # back along the path, which ends at `start`
            row = before[column]
            of_column[column] = row
            of_row[row], column = column, of_row[row]
    return np.arange(len(of_row)), of_row


def mcc_of_directions(left: np.ndarray, right: np.ndarray) -> float:
    """MCC of decoder directions, rows of `[k, d]`, with the d entries as observations (paper A, Table 2)."""
    return mcc(left.T, right.T)


def varying(truth: np.ndarray) -> np.ndarray:
    """Which columns of `[n, m]` vary: a concept that never changes in these pairs can correlate with nothing."""
    return np.ptp(truth, axis=0) > 0


def readout(features: np.ndarray, truth: np.ndarray, features_test: np.ndarray) -> np.ndarray:
    """Ridge prediction of `truth` `[n, m]` from `features` `[n, f]`, fitted on one split and applied to another.

    The ridge is the one of nine, each ten times the last, around the features' energy, that predicts rows best when
    they are left out. Leave-one-out errors have a closed form (Golub, Heath and Wahba 1979); it is scikit-learn's
    `RidgeCV`, whose import takes longer than most evaluations.
    """
    features, truth = features.astype(np.float64), np.asarray(truth, np.float64).reshape(len(features), -1)
    centre, mean = features.mean(0), truth.mean(0)
    if len(features) < 2:
        return np.tile(mean, (len(features_test), 1))
    energy = float(np.square(features).sum(1).mean()) or 1.0
    centred = features - centre
    if len(features) < features.shape[1]:
        left, roots, axes = np.linalg.svd(centred, full_matrices=False)
        values, axes, scores = np.square(roots), axes.T, left * roots  # scores [n, r], columns orthogonal
    else:
        values, axes = np.linalg.eigh(centred.T @ centred)  # a tenth of the time where there are many rows
        values, scores = values.clip(min=0), centred @ axes
    squares, products = np.square(scores), scores.T @ (truth - mean)
    best = (np.inf, energy)
    for ridge in energy * np.logspace(-6, 2, 9):
        shrunk = 1 / (values + ridge)
        leverage = squares @ shrunk + 1 / len(features)
        residual = (truth - mean - scores @ (shrunk[:, None] * products)) / (1 - leverage)[:, None]
        best = min(best, (float(np.square(residual).mean()), ridge), key=lambda found: found[0])
    weights = axes @ (products / (values + best[1])[:, None])
    return (features_test - centre) @ weights + mean


def linear_r2(codes: np.ndarray, truth: np.ndarray, codes_test: np.ndarray, truth_test: np.ndarray) -> float:
    """Held-out R² of true shifts predicted linearly from codes, mean over concepts (paper A, App. B.1.4).

    It says whether a model identifies the concepts' span; MCC whether it also finds its axes.
    """
    prediction = readout(codes, truth, codes_test)
    keep = varying(truth_test)
    residual = np.square(truth_test - prediction)[:, keep].sum(0)
    return float((1 - residual / np.square(truth_test - truth_test.mean(0))[:, keep].sum(0)).mean())


def readability(shifts: np.ndarray, truth: np.ndarray, shifts_test: np.ndarray, truth_test: np.ndarray) -> float:
    """The ceiling of `mcc_truth`: mean correlation of true shifts with their held-out linear readout from δz."""
    prediction = readout(shifts, truth, shifts_test)
    keep = varying(truth_test)
    matched = [abs(signed_correlation(prediction[:, [j]], truth_test[:, [j]])[0, 0]) for j in np.flatnonzero(keep)]
    return float(np.mean(matched))
