"""All metrics of one dataset on one language model, as rows of the long-form table."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import numpy as np

from shiftscope.evaluation.base import RANDOM_DICTIONARIES, Row, Trained, common, described, random_directions
from shiftscope.evaluation.steering import steering_rows
from shiftscope.metrics import correlation, sparsity
from shiftscope.metrics.gain import HELD_OUT_GAIN, HELD_OUT_GAIN_ERROR
from shiftscope.metrics.udr import UDR, UDR_CODES, agreements
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.base import Variant, codes_of

logger = logging.getLogger(__name__)
FEWEST = 10
"""held-out pairs below which nothing is scored against the truth"""


def evaluate(data: PairEmbeddings, trained: list[Trained]) -> list[Row]:
    """Rows of every model, of every pair of seeds, and of the controls that belong to no model."""
    facts = data.facts
    base = common(data, facts["dataset"], "test")
    held_out = len(data.rows("test"))
    if held_out < FEWEST:
        logger.warning(
            "only %d pairs are held out: scores on fewer than %d say little, so none is given", held_out, FEWEST
        )
    for name, truth in data.truths.items():
        if not correlation.varying(truth[0, data.rows("test")]).any():
            logger.warning("truth %s: none of its concepts varies over the held-out pairs, so it has no MCC", name)
    rows = []
    for one in trained:
        rows += [base | row for row in model_rows(data, one)]
        rows += [base | row for row in agreement_rows(data, one)]
        rows += [base | row | {"split": "train"} for row in gain_rows(one)]
    if any(one.variant.reads == "embeddings" for one in trained):
        rows += [base | row for row in two_code_rows(data, trained)]
    if not facts["untrained_of"]:  # a row has one control: those of the untrained twin's embeddings are not told apart
        for codes in sorted({one.n_codes for one in trained}):
            rows += [base | row | {"codes": codes} for row in control_rows(data, codes)]
        rows += [base | row for one in trained for row in ceiling_rows(data, one)]
    return rows


def model_rows(data: PairEmbeddings, one: Trained) -> Iterator[Row]:
    """Rows of one model each; steering and the costlier metrics for the selected setting only."""
    for model in one.models:
        row = described(one, model)
        sides = data.sides(model.data_seed, "test")
        codes = codes_of(one.variant, model.arrays, *sides)
        error = sparsity.reconstruction_error(one.variant, model.arrays, *data.sides_as_given(model.data_seed, "test"))
        yield row | {"metric": sparsity.RECONSTRUCTION.name, "value": error}
        yield row | {"metric": sparsity.L0.name, "value": sparsity.l0(codes)}
        yield row | {"metric": sparsity.L1.name, "value": sparsity.l1(codes)}
        yield row | {"metric": sparsity.LIVE_CODES.name, "value": float(model.arrays["alive"].sum())}
        if model.facts.get("violation") is not None:
            violation = {"metric": sparsity.VIOLATION.name, "value": model.facts["violation"]}
            yield row | violation | {"split": "train"}
        yield from truth_rows(data, one, model, row, codes)
        if row["selected"] or one.settings[model.setting].get("n_pairs"):  # fewer pairs are no setting to choose
            bias = model.arrays.get("decoder_bias")
            directions = model.arrays["decoder"][model.arrays["alive"]]
            yield from (row | found for found in steering_rows(data, model.data_seed, directions, bias))


def truths(data: PairEmbeddings, data_seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Every truth that held-out pairs can tell of: its metric, its shifts `[n, m]` of training and held-out pairs."""
    if len(data.rows("test")) < FEWEST:
        return
    for number, (name, truth) in enumerate(data.truths.items()):
        training, test = truth[data_seed, data.rows("train")], truth[data_seed, data.rows("test")]
        if correlation.varying(test).any():
            metric = correlation.MCC_OTHER_TRUTH.name.replace("*", name) if number else correlation.MCC_TRUTH.name
            yield metric, training, test


def truth_rows(data: PairEmbeddings, one: Trained, model: Model, row: Row, codes: np.ndarray) -> Iterator[Row]:
    """MCC of the codes with each truth; for the selected setting its chance level and the linear R² too."""
    for metric, true_training, true_test in truths(data, model.data_seed):
        true = true_test[:, correlation.varying(true_test)]
        yield row | {"metric": metric, "value": correlation.mcc(codes, true)}
        if not row["selected"] or data.facts["untrained_of"]:
            continue
        shuffled = np.random.default_rng([model.seed, model.data_seed]).permutation(true)
        yield row | {"metric": metric, "value": correlation.mcc(codes, shuffled), "control": "permuted_labels"}
        if metric == correlation.MCC_TRUTH.name:
            known = codes_of(one.variant, model.arrays, *data.sides(model.data_seed, "train"))
            value = correlation.linear_r2(known, true_training, codes, true_test)
            yield row | {"metric": correlation.LINEAR_R2.name, "value": value}


def two_code_rows(data: PairEmbeddings, trained: list[Trained]) -> Iterator[Row]:
    """MCC with the primary truth by up to two codes a concept, with its chance levels, of the selected settings.

    Codes of embeddings have one sign, so beside them every variant gets this score, and random directions do.
    """
    if not data.truths or data.facts["untrained_of"]:
        return
    true = [truth[data.rows("test")] for truth in next(iter(data.truths.values()))]
    true = [shift[:, correlation.varying(shift)] for shift in true]
    name = {"metric": correlation.MCC_TWO_CODES.name}
    for one in trained:
        for model in (model for model in one.models if model.setting == one.chosen):
            row, shift = described(one, model) | name, true[model.data_seed]
            codes = codes_of(one.variant, model.arrays, *data.sides(model.data_seed, "test"))
            shuffled = np.random.default_rng([model.seed, model.data_seed]).permutation(shift)
            yield row | {"value": correlation.mcc_two_codes(codes, shift)}
            yield row | {"value": correlation.mcc_two_codes(codes, shuffled), "control": "permuted_labels"}
    for codes in sorted({one.n_codes for one in trained}):
        for data_seed, seed in itertools.product(range(data.data_seeds), range(RANDOM_DICTIONARIES)):
            directions = random_directions(codes, seed, data_seed, data.embedding_0.shape[2])
            value = correlation.mcc_two_codes(data.shifts(data_seed, "test") @ directions.T, true[data_seed])
            control = {"control": "random_dictionary", "data_seed": data_seed, "seed": seed}
            yield name | control | {"codes": codes, "value": value}


def agreement_rows(data: PairEmbeddings, one: Trained) -> Iterator[Row]:
    """MCC between seeds, by decoder directions and by held-out codes, and its median per setting (UDR)."""
    by_key = {model[:3]: model for model in one.models}
    decoders = {pair[:4]: pair.mcc for pair in agreements(one.models)}
    heldout = {seed: data.sides(seed, "test") for seed in range(data.data_seeds)}
    codes = {key: codes_of(one.variant, model.arrays, *heldout[model.data_seed]) for key, model in by_key.items()}
    references = [reference_truth(data, data_seed) for data_seed in range(data.data_seeds)]
    by_setting: dict[int, list[tuple[float, float]]] = {}
    for (setting, data_seed, seed, seed_2), decoder in decoders.items():
        row = described(one, by_key[setting, data_seed, seed]) | {"seed_2": seed_2}
        code = correlation.mcc(codes[setting, data_seed, seed], codes[setting, data_seed, seed_2])
        by_setting.setdefault(setting, []).append((decoder, code))
        yield row | {"metric": correlation.MCC_SEEDS_DECODER.name, "value": decoder}
        yield row | {"metric": correlation.MCC_SEEDS_CODES.name, "value": code}
        both = codes[setting, data_seed, seed], codes[setting, data_seed, seed_2]
        yield from (row | found for found in reference_rows(references[data_seed], *both))
    for setting, values in by_setting.items():
        row = described(one, next(model for model in one.models if model.setting == setting))
        row |= {"seed": None, "data_seed": None}
        for metric, value in zip((UDR.name, UDR_CODES.name), np.median(values, axis=0), strict=True):
            yield row | {"metric": metric, "value": float(value)}


def gain_rows(one: Trained) -> Iterator[Row]:
    """The held-out gain of the chosen setting, if it was measured, and its standard error: the same for all seeds."""
    for model in {model.data_seed: model for model in one.models if model.setting == one.chosen}.values():
        row = described(one, model) | {"seed": None}
        for metric, fact in ((HELD_OUT_GAIN, "gain"), (HELD_OUT_GAIN_ERROR, "gain_error")):
            if model.facts.get(fact) is not None:
                yield row | {"metric": metric.name, "value": float(model.facts[fact])}


def reference_truth(data: PairEmbeddings, data_seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The primary truth of training and held-out pairs `[n, m]`, if it leaves reference values arbitrary."""
    known = next(truths(data, data_seed), None)
    if known is None or known[0] != correlation.MCC_TRUTH.name or not correlation.blocks_of(known[1])[1].any():
        return None
    return known[1:]


def reference_rows(truth: tuple[np.ndarray, np.ndarray] | None, left: np.ndarray, right: np.ndarray) -> Iterator[Row]:
    """Agreement of held-out codes up to reference values, either way, where the truth leaves such values.

    With as many codes as the truth has columns, or more, there is a code for every value.
    """
    if truth is None or left.shape[1] >= truth[1].shape[1]:
        return
    training, test = truth
    both = [correlation.mcc_up_to_reference(*pair, test, training) for pair in ((left, right), (right, left))]
    yield {"metric": correlation.MCC_SEEDS_REFERENCE.name, "value": float(np.mean(both))}


def control_rows(data: PairEmbeddings, n_codes: int) -> Iterator[Row]:
    """Scores that no training can change: the ceiling of MCC, no steering, and random dictionaries of equal size."""
    for data_seed in range(data.data_seeds):
        for metric, known, true in truths(data, data_seed):
            shifts = data.shifts(data_seed, "train"), data.shifts(data_seed, "test")
            value = correlation.readability(shifts[0], known, shifts[1], true)
            yield {"metric": metric, "value": value, "control": "ceiling", "data_seed": data_seed}
        yield from (row | {"control": "no_steering"} for row in steering_rows(data, data_seed, None))
        width = data.embedding_0.shape[2]
        reference = reference_truth(data, data_seed)
        dictionaries = [random_directions(n_codes, seed, data_seed, width) for seed in range(RANDOM_DICTIONARIES)]
        base = {"control": "random_dictionary", "data_seed": data_seed}
        for seed, directions in enumerate(dictionaries):
            yield from (row | base | {"seed": seed} for row in random_rows(data, data_seed, directions))
        for (seed, left), (seed_2, right) in itertools.combinations(enumerate(dictionaries), 2):
            value = correlation.mcc_of_directions(left, right)
            pair = base | {"seed": seed, "seed_2": seed_2}
            yield pair | {"metric": correlation.MCC_SEEDS_DECODER.name, "value": value}
            codes = (data.shifts(data_seed, "test") @ directions.T for directions in (left, right))
            yield from (pair | found for found in reference_rows(reference, *codes))


def ceiling_rows(data: PairEmbeddings, one: Trained) -> Iterator[Row]:
    """The ceiling of MCC of a variant that reads something else than shifts: what is linearly readable from that.

    It stands for all seeds of the chosen setting, since what is read is the same for all.
    """
    if one.variant.target is Variant.target:
        return
    for model in {model.data_seed: model for model in one.models if model.setting == one.chosen}.values():
        shifts = [one.variant.target(model.arrays, data.shifts(model.data_seed, split)) for split in ("train", "test")]
        row = described(one, model) | {"seed": None, "control": "ceiling"}
        for metric, known, true in truths(data, model.data_seed):
            yield row | {"metric": metric, "value": correlation.readability(shifts[0], known, shifts[1], true)}


def random_rows(data: PairEmbeddings, data_seed: int, directions: np.ndarray) -> Iterator[Row]:
    """What random directions score, on steering and, as encoder, on MCC."""
    yield from steering_rows(data, data_seed, directions)
    projected = data.shifts(data_seed, "test") @ directions.T
    for metric, _, true in truths(data, data_seed):
        yield {"metric": metric, "value": correlation.mcc(projected, true[:, correlation.varying(true)])}
