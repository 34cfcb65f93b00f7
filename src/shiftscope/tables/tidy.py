"""From metric rows to one tidy table: a row per dataset, code size, variant and metric, its controls beside it."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from shiftscope import kinds
from shiftscope.metrics.base import metric
from shiftscope.metrics.sparsity import RECONSTRUCTION
from shiftscope.tables.intervals import UNIT, compare, summarise, units
from shiftscope.vocabulary import CONTROLS, RECOMMENDED

if TYPE_CHECKING:
    import pandas as pd

    from shiftscope.metrics.base import Metric
    from shiftscope.variants.base import Variant

logger = logging.getLogger(__name__)
MODEL = ["lm", "layer", "dataset", "codes", "variant"]
KEYS = [*MODEL, "metric"]
ABOUT = ["kind", "recipe", "labelled", "error"]
"""What a row says of its variant: its kind; whose recipe of the sparse shift autoencoder it is ("paper", "ours" or "");
whether it is given labels; and its relative error on held-out pairs, where doing nothing has 1."""
SUMMARY = ["mean", "sd", "low", "high", "minimum"]
DIFFERENCE = ["difference", "difference_low", "difference_high"]
COLUMNS = [*KEYS, *ABOUT, *SUMMARY, "n", "rival", *DIFFERENCE, *CONTROLS, "published"]

SYMBOLS = {"lr": "lr", "sparsity_level": "β"}
"""The hyperparameters whose grid the source shows, and how they are written."""

Published = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""the source's numbers: `{metric's name: {dataset: {system: value}}}`; a system is a variant's `system`"""


@functools.cache
def class_of(kind: str) -> type[Variant]:
    """The class of a variant's kind, which says what tables must know of it."""
    return cast("type[Variant]", kinds.load("variants", kind))


def recipe_of(variant: str, kind: str) -> str:
    """Whose recipe of the sparse shift autoencoder a variant is, empty if of neither; what is recommended is a choice."""
    return class_of(kind).recipe if kind and variant != RECOMMENDED else ""


def system_of(variant: str, kind: str) -> str:
    """The source's system beside a variant: that of its kind, or what was not run here and has no kind."""
    if variant == RECOMMENDED:
        return ""
    return class_of(kind).system if kind else variant


def about(place: Mapping[str, Any], kind: str, errors: Mapping[tuple, float]) -> dict[str, Any]:
    """The columns `ABOUT` of a row; `errors` by `MODEL`."""
    return {
        "kind": kind,
        "recipe": recipe_of(place["variant"], kind),
        "labelled": bool(kind) and class_of(kind).supervised,
        "error": errors.get(tuple(place[name] for name in MODEL)),
    }


def kinds_of(rows: pd.DataFrame) -> dict[tuple, str]:
    """The kind of every variant, by `KEYS`."""
    named = rows[rows["control"] == ""].drop_duplicates(KEYS)
    return {tuple(row[:-1]): row[-1] for row in named[[*KEYS, "kind"]].itertuples(index=False)}


def rivals(kind_of: Mapping[tuple, str]) -> dict[tuple, tuple]:
    """What each row is compared with, both by `KEYS`: the first variant of the rival kind in the same place."""
    variant = KEYS.index("variant")
    first: dict[tuple, tuple] = {}
    for key in sorted(kind_of):
        if key[variant] != RECOMMENDED:
            first.setdefault((*key[:variant], kind_of[key], *key[variant + 1 :]), key)
    found = {}
    for key, kind in kind_of.items():
        rival = class_of(kind).without_sparsity if kind and key[variant] != RECOMMENDED else ""
        other = first.get((*key[:variant], rival, *key[variant + 1 :]))
        if rival and other:
            found[key] = other
    return found


def errors_of(metrics: pd.DataFrame) -> dict[tuple, float]:
    """The mean held-out error of the chosen setting, by `MODEL`."""
    rows = of_interest(metrics, [RECONSTRUCTION])
    return dict(rows[rows["control"] == ""].groupby(MODEL)["value"].mean())


def with_errors(table: pd.DataFrame, metrics: pd.DataFrame, datasets: Iterable[str]) -> pd.DataFrame:
    """The tidy table with the errors of what was trained on `datasets`, one a row, where its own rows have none."""
    errors, places = errors_of(metrics), table[MODEL].assign(dataset=list(datasets))
    found = [errors.get(tuple(place)) for place in places.itertuples(index=False)]
    return table.assign(error=[float("nan") if error is None else error for error in found])


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
    kind_of, controls, errors = kinds_of(rows), control_means(rows), errors_of(metrics)
    beside = rivals(kind_of)
    lines = []
    for key, values in real.items():
        place, rival = dict(zip(KEYS, key, strict=True)), beside.get(key)
        system = system_of(place["variant"], kind_of[key])
        number = published_number(published, place["metric"], place["dataset"], system)
        described = line(place, values, controls, number, *compared(rival, real))
        lines.append(described | about(place, kind_of[key], errors))
    return ordered(typed(pd.DataFrame(lines, columns=COLUMNS)), wanted, published)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tidy tables one below the other; of empty ones, whose columns have no types, the first."""
    import pandas as pd

    return pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)


def untrained_as_control(metrics: pd.DataFrame) -> pd.DataFrame:
    """Scores of variants without a step of training (`steps: 0`) as a control of all that were trained of their kind."""
    import pandas as pd

    place = ["lm", "layer", "dataset", "codes", "kind"]
    untrained = metrics["params"].map({text: json.loads(text).get("steps") == 0 for text in metrics["params"].unique()})
    trained = metrics[~untrained.astype(bool)]
    named = trained.loc[(trained["control"] == "") & (trained["variant"] != ""), [*place, "variant"]].drop_duplicates()
    scores = metrics[untrained.astype(bool) & (metrics["control"] == "")].drop(columns="variant").merge(named, on=place)
    return pd.concat([trained, scores.assign(control="untrained_sae")], ignore_index=True)


def compared(rival: tuple | None, real: Mapping[tuple, pd.Series]) -> tuple[str | None, pd.Series | None]:
    """A rival's name and its values, None where there is none."""
    return (rival[KEYS.index("variant")], real[rival]) if rival else (None, None)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns `COLUMNS` with their types, whatever a table of few or no rows would guess."""
    numbers = [*SUMMARY, *DIFFERENCE, *CONTROLS, "error", "published"]
    words = ["lm", "layer", "dataset", "variant", "metric", "kind", "recipe", "rival"]
    return table.astype(
        dict.fromkeys(numbers, float) | dict.fromkeys(words, "string") | {"codes": int, "n": int, "labelled": bool}
    )


def control_means(rows: pd.DataFrame) -> dict[tuple, float]:
    """The mean of every control among `rows`, by `KEYS` and its name."""
    found, keys = rows[rows["control"] != ""], [*KEYS, "control"]
    of_units = found.assign(**{name: found[name].fillna(-1) for name in UNIT}).groupby([*keys, *UNIT])["value"].mean()
    return dict(of_units.groupby(keys).mean())


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
    """One row of a tidy table: `values` summarised, within what the metric can be, and the controls of `key`.

    Args:
        key: values of `KEYS`.
        values: what `units` returns.
        controls: what `control_means` returns.
        published: the source's number.
        rival: the variant that it is compared with, seed by seed, and `others`, its values; None if not measured.
        others: see `rival`.
    """
    found, (least, most) = summarise(values), metric(key["metric"]).limits
    difference = compare(values, others) if others is not None else None
    return key | {
        "mean": found.mean,
        "sd": found.sd,
        "low": None if found.low is None else max(found.low, least),
        "high": None if found.high is None else min(found.high, most),
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


def published_number(published: Published, metric: str, dataset: str, system: str) -> float | None:
    """The source's number of one of its systems, by the metric's name; None where it gives none that can be read."""
    return published.get(metric, {}).get(dataset, {}).get(system)


def ordered(table: pd.DataFrame, wanted: Sequence[Metric], published: Published) -> pd.DataFrame:
    """Sort rows: the source's datasets first and in its order, ours after, by name; variants as `variants_in_order`."""
    datasets = [name for by_dataset in published.values() for name in by_dataset]
    variants = variants_in_order(zip(table["variant"], table["kind"], strict=True))
    orders = {"dataset": datasets, "variant": variants, "metric": [metric.name for metric in wanted]}

    def rank(column: pd.Series) -> pd.Series:
        order = orders.get(str(column.name))
        if order is None:
            return column
        places = {name: f"{place:04d}" for place, name in reversed(list(enumerate(order)))}
        return column.map(lambda name: places.get(name, "9999" + name))

    return table.sort_values(KEYS, key=rank, ignore_index=True)


def variants_in_order(variants: Iterable[tuple[str, str]]) -> list[str]:
    """Names of variants given with their kinds: what is recommended, sparse shift autoencoders, ours first, and what
    they are compared with, other methods without labels, those with.
    """
    kind_of = dict(variants)
    classes = {name: class_of(kind) for name, kind in kind_of.items() if kind}
    sparse = {one.without_sparsity for one in classes.values()} - {""}

    def place(name: str) -> tuple:
        if name == RECOMMENDED:
            return (0, 0, name)
        if name not in classes:  # a system of the source that was not run here
            return (3, 0, name)
        one = classes[name]
        if one.without_sparsity:
            return (1, ("ours", "paper", "").index(one.recipe), name)
        return (2 if kind_of[name] in sparse else 4 + one.supervised, 0, name)

    return sorted(kind_of, key=place)


def by_setting(
    metrics: pd.DataFrame, wanted: Sequence[Metric], symbols: Mapping[str, str] = SYMBOLS, sparse: bool = True
) -> pd.DataFrame:
    """Summarise the wanted metrics of every setting of every variant whose settings differ in one of `symbols`.

    Args:
        metrics: rows in the schema of `shiftscope.evaluation.parts`.
        wanted: as for `assemble`, which takes the setting that UDR chose alone.
        symbols: hyperparameters, and how they are written.
        sparse: only variants that have a rival without sparsity, each setting compared with it, seed by seed.

    Returns:
        a frame with the columns `COLUMNS`, where `variant` says the setting too, and after them a column per symbol,
        `grid` (the variant's name) and `chosen` (whether UDR chose the setting).
    """
    import pandas as pd

    rows = of_interest(metrics, wanted, all_settings=True)
    controls, kind_of = control_means(rows), kinds_of(rows)
    real = rows[(rows["control"] == "") & (rows["variant"] != RECOMMENDED)]
    chosen = {key: units(group) for key, group in real[real["selected"]].groupby(KEYS)}
    beside = {key: other for key, other in rivals(kind_of).items() if sparse and other in chosen}
    errors = _errors_by_setting(metrics)
    lines = []
    for key, group in real[real["variant"].isin(_grids(real, symbols, sparse))].groupby([*KEYS, "params"]):
        place, setting = dict(zip(KEYS, key, strict=False)), json.loads(key[-1])
        described = line(place, units(group), controls, None, *compared(beside.get(key[:-1]), chosen))
        described |= about(place, kind_of[key[:-1]], {key[: len(MODEL)]: errors.get((*key[: len(MODEL)], key[-1]))})
        label = ", ".join(f"{symbol} {_short(setting[name])}" for name, symbol in symbols.items())
        values = {name: float(setting[name]) for name in symbols}
        of_grid = {"grid": place["variant"], "chosen": bool(group["selected"].all())}
        lines.append(described | {"variant": f"{place['variant']}: {label}"} | of_grid | values)
    table = pd.DataFrame(lines, columns=[*COLUMNS, *symbols, "grid", "chosen"])
    dtypes = dict.fromkeys(symbols, float) | {"grid": "string", "chosen": bool}
    order = {metric.name: place for place, metric in enumerate(wanted)}
    by = ["lm", "layer", "dataset", "codes", "grid", *symbols, "metric"]
    return typed(table).astype(dtypes).sort_values(
        by, key=lambda column: column.map(order) if column.name == "metric" else column, ignore_index=True
    )  # fmt: skip


def _errors_by_setting(metrics: pd.DataFrame) -> dict[tuple, float]:
    rows = of_interest(metrics, [RECONSTRUCTION], all_settings=True)
    return dict(rows[rows["control"] == ""].groupby([*MODEL, "params"])["value"].mean())


def _grids(rows: pd.DataFrame, symbols: Mapping[str, str], sparse: bool) -> list[str]:
    """Variants that have the hyperparameters `symbols` and settings that differ in one; of the sparse ones alone if asked."""
    found = []
    for variant, group in rows[rows["variant"] != ""].groupby("variant"):
        if sparse and not class_of(group["kind"].iloc[0]).without_sparsity:
            continue
        settings = [json.loads(params) for params in group["params"].unique()]
        points = {tuple(setting.get(name) for name in symbols) for setting in settings}
        if len(points) > 1 and all(None not in point for point in points):
            found.append(variant)
    return found


def _short(value: float) -> str:
    """A hyperparameter as the sources write it: .005, .2, 1."""
    return f"{value:g}".removeprefix("0")
