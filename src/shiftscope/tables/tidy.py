"""From metric rows to one tidy table: a row per dataset, code size, variant and metric, its controls beside it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shiftscope.tables.intervals import compare, summarise, units
from shiftscope.vocabulary import CONTROLS

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric

logger = logging.getLogger(__name__)
KEYS = ["lm", "layer", "dataset", "codes", "variant", "metric"]
SUMMARY = ["mean", "sd", "low", "high", "minimum"]
DIFFERENCE = ["difference", "difference_low", "difference_high"]
COLUMNS = [*KEYS, *SUMMARY, "n", "rival", *DIFFERENCE, *CONTROLS, "published"]
FAMILIES = {"ssae": "ssae", "ssae_paper": "ssae", "ssae_paper_repaired": "ssae", "affine": "affine",
            "affine_paper": "affine", "pretrained_sae": "pretrained_sae", "pca": "pca",
            "mean_difference": "mean_difference", "l1_tied": "l1_tied"}  # fmt: skip
"""The system of the source whose number stands beside a variant; the order is that of the rows."""
RIVALS = {"ssae": "affine", "ssae_paper": "affine_paper", "ssae_paper_repaired": "affine_paper"}
"""The same autoencoder without the sparsity constraint: the variant that each is compared with, seed by seed."""

SYMBOLS = {"lr": "lr", "sparsity_level": "β"}
"""The hyperparameters whose grid the source shows, and how they are written."""
RIVAL_OF_GRID = "affine_paper"
"""The paper's autoencoder without sparsity: the variant that every setting of a constrained one is compared with."""

Published = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""the source's numbers: `{metric's name: {dataset: {system: value}}}`; a system is a value of `FAMILIES`"""


def assemble(metrics: pd.DataFrame, wanted: Sequence[Metric], published: Published) -> pd.DataFrame:
    """Summarise the wanted metrics of every dataset, code size and variant over its seeds.

    Only rows of the setting that UDR chose enter, at the end of training, on the dataset that was trained on, and on
    held-out pairs where the metric has any; points of a curve over doses do not. A control is the mean of the rows of
    the same dataset, variant and metric that carry its name; where there are none, of those with an empty variant,
    which count for every variant.

    Args:
        metrics: rows in the schema of `shiftscope.evaluation.parts`.
        wanted: metrics; one whose name ends in `*` takes every metric that starts so.
        published: the source's numbers.

    Returns:
        a frame with the columns `COLUMNS`; null where a number does not exist; no row if no dataset has the metrics.
    """
    import pandas as pd

    rows = of_interest(metrics, wanted)
    real = {key: units(group) for key, group in rows[rows["control"] == ""].groupby(KEYS)}
    if not real:
        named = ", ".join(metric.name for metric in wanted)
        logger.warning("no selected row of %s: own pairs without the labels they need have none", named)
    controls = control_means(rows)
    lines = []
    for key, values in real.items():
        place = dict(zip(KEYS, key, strict=True))
        rival = RIVALS.get(place["variant"])
        other = real.get(tuple((place | {"variant": rival}).values()))
        number = published_number(published, place["metric"], place["dataset"], place["variant"])
        lines.append(line(place, values, controls, number, rival, other))
    return ordered(typed(pd.DataFrame(lines, columns=COLUMNS)), wanted, published)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns `COLUMNS` with their types, whatever a table of few or no rows would guess."""
    numbers = [*SUMMARY, *DIFFERENCE, *CONTROLS, "published"]
    words = ["lm", "layer", "dataset", "variant", "metric", "rival"]
    return table.astype(dict.fromkeys(numbers, float) | dict.fromkeys(words, "string") | {"codes": int, "n": int})


def control_means(rows: pd.DataFrame) -> dict[tuple, float]:
    """The mean of every control among `rows`, by `KEYS` and its name."""
    return {key: units(group).mean() for key, group in rows[rows["control"] != ""].groupby([*KEYS, "control"])}


def of_interest(metrics: pd.DataFrame, wanted: Sequence[Metric], all_settings: bool = False) -> pd.DataFrame:
    """Rows of the wanted metrics at the end of training, held out where the metric is; of the chosen setting or all."""
    names = [metric.name for metric in wanted]
    prefixes = tuple(name[:-1] for name in names if name.endswith("*"))
    named = metrics["metric"].isin(names) | metrics["metric"].str.startswith(prefixes or ("\0",))
    no_setting = (metrics["variant"] == "") & (metrics["control"] != "")
    rows = metrics[
        named
        & (metrics["selected"] | no_setting | all_settings)
        & metrics["step"].isna()
        & metrics["dose"].isna()
        & (metrics["eval_dataset"] == metrics["dataset"])
    ]
    held_out = rows.loc[rows["split"] != "train", ["dataset", "metric"]].drop_duplicates()
    has_held_out = rows.set_index(["dataset", "metric"]).index.isin(held_out.set_index(["dataset", "metric"]).index)
    return rows[(rows["split"] != "train") | ~has_held_out]


def line(
    key: dict[str, Any],
    values: pd.Series,
    controls: Mapping[tuple, float],
    published: float | None = None,
    rival: str | None = None,
    others: pd.Series | None = None,
) -> dict[str, Any]:
    """One row of a tidy table: `values` summarised, and the controls of `key`.

    Args:
        key: values of `KEYS`.
        values: what `units` returns.
        controls: what `control_means` returns.
        published: the source's number.
        rival: the variant that it is compared with, seed by seed, and `others`, its values; None if not measured.
        others: see `rival`.
    """
    found = summarise(values)
    difference = compare(values, others) if others is not None else None
    return key | {
        "mean": found.mean,
        "sd": found.sd,
        "low": found.low,
        "high": found.high,
        "minimum": found.minimum,
        "n": found.n,
        "rival": rival if others is not None else None,
        "difference": difference.mean if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "published": published,
        **{control: _control(key, control, controls) for control in CONTROLS},
    }


def _control(key: dict[str, Any], control: str, controls: Mapping[tuple, float]) -> float | None:
    for same in (key, key | {"variant": ""}, key | {"variant": "", "codes": 0}):
        if (*same.values(), control) in controls:
            return controls[(*same.values(), control)]
    return None


def published_number(published: Published, metric: str, dataset: str, variant: str) -> float | None:
    """The source's number beside a variant of ours, by the metric's name; None where it gives none that can be read."""
    return published.get(metric, {}).get(dataset, {}).get(FAMILIES.get(variant, ""))


def ordered(table: pd.DataFrame, wanted: Sequence[Metric], published: Published) -> pd.DataFrame:
    """Sort rows as the source does: its datasets and systems first and in its order, ours after, by name."""
    datasets = [name for by_dataset in published.values() for name in by_dataset]
    orders = {"dataset": datasets, "variant": list(FAMILIES), "metric": [metric.name for metric in wanted]}

    def rank(column: pd.Series) -> pd.Series:
        order = orders.get(str(column.name))
        if order is None:
            return column
        places = {name: f"{place:04d}" for place, name in reversed(list(enumerate(order)))}
        return column.map(lambda name: places.get(name, "9999" + name))

    return table.sort_values(KEYS, key=rank, ignore_index=True)


def by_setting(
    metrics: pd.DataFrame,
    wanted: Sequence[Metric],
    symbols: Mapping[str, str] = SYMBOLS,
    rival: str = RIVAL_OF_GRID,
) -> pd.DataFrame:
    """Summarise the wanted metrics of every setting of every variant whose settings differ in one of `symbols`.

    Args:
        metrics: rows in the schema of `shiftscope.evaluation.parts`.
        wanted: as for `assemble`, which takes the setting that UDR chose alone.
        symbols: hyperparameters, and how they are written.
        rival: the variant that every setting is compared with, seed by seed.

    Returns:
        a frame with the columns `COLUMNS`, where `variant` says the setting too, and after them a column per symbol,
        `grid` (the variant's name) and `chosen` (whether UDR chose the setting).
    """
    import pandas as pd

    rows = of_interest(metrics, wanted, all_settings=True)
    controls = control_means(rows)
    real = rows[rows["control"] == ""]
    rivals = {key: units(group) for key, group in real[(real["variant"] == rival) & real["selected"]].groupby(KEYS)}
    lines = []
    for key, group in real[real["variant"].isin(_grids(real, symbols, rival))].groupby([*KEYS, "params"]):
        place, setting = dict(zip(KEYS, key, strict=False)), json.loads(key[-1])
        other = rivals.get(tuple((place | {"variant": rival}).values()))
        described = line(place, units(group), controls, None, rival, other)
        label = ", ".join(f"{symbol} {_short(setting[name])}" for name, symbol in symbols.items())
        values = {name: float(setting[name]) for name in symbols}
        chosen = bool(group["selected"].all())
        lines.append(
            described | {"variant": f"{place['variant']}: {label}", "grid": place["variant"], "chosen": chosen} | values
        )
    table = pd.DataFrame(lines, columns=[*COLUMNS, *symbols, "grid", "chosen"])
    kinds = dict.fromkeys(symbols, float) | {"grid": "string", "chosen": bool}
    order = {metric.name: place for place, metric in enumerate(wanted)}
    by = ["lm", "layer", "dataset", "codes", "grid", *symbols, "metric"]
    return typed(table).astype(kinds).sort_values(
        by, key=lambda column: column.map(order) if column.name == "metric" else column, ignore_index=True
    )  # fmt: skip


def _grids(rows: pd.DataFrame, symbols: Mapping[str, str], rival: str) -> list[str]:
    """Variants that have the hyperparameters `symbols` and settings that differ in one, but for `rival` itself."""
    found = []
    for variant, group in rows[rows["variant"] != rival].groupby("variant"):
        settings = [json.loads(params) for params in group["params"].unique()]
        points = {tuple(setting.get(name) for name in symbols) for setting in settings}
        if len(points) > 1 and all(None not in point for point in points):
            found.append(variant)
    return found


def _short(value: float) -> str:
    """A hyperparameter as the sources write it: .005, .2, 1."""
    return f"{value:g}".removeprefix("0")
