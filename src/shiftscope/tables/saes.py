"""What the entries on autoencoders of activations share: places, settings and steps as rows, equal sparsity, rankings.

What an autoencoder was trained on and the words that it is measured on make a place: `docstrings, bat27`. The systems
of paper B are told by what a variant's class names as its `system`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from shiftscope.metrics.base import Metric
from shiftscope.metrics.dictionary import ACTIVE_LATENTS, ACTIVE_LATENTS_WORDS, ACTIVE_SPARSE, COLLAPSED, FVU
from shiftscope.metrics.matched import FVU_AT_L0, PCC_AT_FVU, PCC_AT_L0, common_level, interpolated
from shiftscope.metrics.pcc import PCC_HELDOUT
from shiftscope.tables.numbers import number, series, spoken
from shiftscope.tables.tidy import assemble, system_of
from shiftscope.tables.verdicts import (
    DEAD,
    NOT_TESTED,
    THIS_PROJECT,
    TOLERANCE,
    Found,
    Verdict,
    missing_controls,
    of_metric,
    status,
)
from shiftscope.vocabulary import CONTROLS, PATH, whole_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SYSTEMS = ("structured", "p_annealing", "topk", "batch_topk")
"""of paper B, from its highest mean PCC to its lowest"""
PLACE = ["lm", "layer", "dataset"]
PROCEDURE = {"steps": 20_000, "batch_size": 10_000}
"""of paper B (App. H.3), by which it is told whether its claims were tested"""
NOT_AS_LONG = "Not with the source's 20 000 steps of 10 000 activations."
MATCHED = (
    (PCC_AT_L0, PCC_HELDOUT, (ACTIVE_LATENTS_WORDS,)),
    (PCC_AT_FVU, PCC_HELDOUT, (FVU,)),
    (FVU_AT_L0, FVU, (ACTIVE_SPARSE, ACTIVE_LATENTS)),
)
"""what is shown at an equal cost: its metric, the score, and the cost, the first of these that a model has"""
SPARSE = 0.5
"""largest share of active latents with which an autoencoder is called sparse"""
OF_MODELS = ("permuted_labels", "untrained_sae", "untrained_lm")
"""controls that are autoencoders, with costs of their own; of permuted labels, those of the model itself"""


def on_words(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows of what was measured on words, and of the same models on held-out tokens, under the name of their place."""
    import pandas as pd

    measured = metrics[metrics["eval_dataset"] != metrics["dataset"]]
    frames = [metrics.head(0)]
    for lm, layer, dataset, words in measured[[*PLACE, "eval_dataset"]].drop_duplicates().itertuples(index=False):
        here = (metrics[PLACE] == [lm, layer, dataset]).all(axis=1)
        rows = metrics[here & metrics["eval_dataset"].isin([dataset, words])]
        name = f"{dataset}, {words}"
        frames.append(rows.assign(dataset=name, eval_dataset=name))
    return pd.concat(frames, ignore_index=True)


def each_setting(metrics: pd.DataFrame) -> pd.DataFrame:
    """Every setting as a variant of its own, called after what it differs in (`topk: k 32`), with the column `grid`."""
    names = {}
    for variant, group in metrics[metrics["variant"] != ""].groupby("variant"):
        settings = {params: json.loads(params) for params in group["params"].unique()}
        for params, setting in settings.items():
            differs = [name for name in setting if len({str(one.get(name)) for one in settings.values()}) > 1]
            said = ", ".join(f"{name} {_short(setting[name])}" for name in differs)
            names[variant, params] = f"{variant}: {said}" if said else variant
    keys = list(zip(metrics["variant"], metrics["params"], strict=True))
    return metrics.assign(variant=[names.get(key, "") for key in keys], grid=[key[0] for key in keys], selected=True)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_step(metrics: pd.DataFrame, wanted: Sequence[Metric]) -> pd.DataFrame:
    """The tidy table once per step of training, with the column `step`; at step 0 is the untrained model."""
    import pandas as pd

    of_models = metrics["control"].isin(["", "untrained_sae"]) & (metrics["variant"] != "")
    real, fixed = metrics[of_models], metrics[metrics["variant"] == ""]
    ends = real["params"].map({text: json.loads(text).get("steps", 0) for text in real["params"].unique()})
    steps = real["step"].astype(float).fillna(ends.astype(float)).where(real["control"] == "", 0.0)
    tables = []
    for step in sorted(steps.unique()):
        here = pd.concat([real[steps == step].assign(control=""), fixed]).assign(step=float("nan"))
        tables.append(assemble(here, wanted, {}).assign(step=int(step)))
    if not tables:  # which says in the log what is missing
        return assemble(metrics.head(0), wanted, {}).assign(step=0)
    table = pd.concat(tables, ignore_index=True)
    places = {name: place for place, name in enumerate(dict.fromkeys(table["variant"]))}
    order = {"variant": places.get, "metric": [metric.name for metric in wanted].index}
    return table.sort_values(
        [*PLACE, "codes", "variant", "step", "metric"],
        key=lambda column: column.map(order[column.name]) if column.name in order else column, ignore_index=True,
    )  # fmt: skip


def at_equal_cost(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows of every variant and seed between its settings, at the cost that most variants of a place have in common.

    With the column `level`, the cost. A variant of which a seed's settings do not reach it has no row: nothing is
    extrapolated. Its controls are taken at the same cost; where its own do not reach it (an untrained rectified
    autoencoder is dense), the best of the other variants stands for it, in rows without a variant, as does what is no
    autoencoder.
    """
    import pandas as pd

    final = metrics[metrics["control"].isin(["", *OF_MODELS]) & metrics["step"].isna() & (metrics["variant"] != "")]
    names = {metric.name for _, score, costs in MATCHED for metric in (score, *costs)}
    model = [*PLACE, "codes", "variant", "kind", "data_seed", "seed"]
    values = final[final["metric"].isin(names)].groupby([*model, "params", "control", "metric"])["value"].mean()
    rows: list[dict] = []
    for place, here in values.unstack("metric").groupby(PLACE):
        for wanted, score, costs in MATCHED:
            known = [cost.name for cost in costs if cost.name in here]
            if score.name not in here or not known:
                continue
            found = pd.DataFrame({"score": here[score.name], "cost": here[known].bfill(axis=1).iloc[:, 0]})
            matched = list(_matched(_with_costs(found, sparse=FVU not in costs), model, wanted))
            rows += [*matched, *_stand_ins(matched, wanted)]
            rows += _of_no_model(metrics, place, wanted, score) if matched else []
    return pd.DataFrame(rows, columns=[*model, "control", "metric", "level", "value"])


def _with_costs(found: pd.DataFrame, sparse: bool) -> pd.DataFrame:
    """Scores and costs of all models and controls; permuted labels cost what their model does. `sparse`: only these."""
    control = found.index.get_level_values("control")
    own = found.loc[control == "", "cost"].droplevel("control")
    costs = found["cost"].where(control != "permuted_labels", own.reindex(found.index.droplevel("control")).to_numpy())
    kept = costs <= SPARSE * found.index.get_level_values("codes") if sparse else costs.notna()
    return found.assign(cost=costs)[kept].dropna()


def _matched(values: pd.DataFrame, model: list[str], wanted: Metric) -> Iterator[dict]:
    """Rows of one place of a frame of score and cost by `model`, setting and control: of what all its seeds reach."""
    spans = values.groupby([*model, "control"])["cost"].agg(["min", "max"]).groupby(["codes", "variant", "control"])
    reached = dict(zip(spans.groups, zip(spans["min"].max(), spans["max"].min(), strict=True), strict=True))
    level = common_level(_one_of_each({key[:2]: span for key, span in reached.items() if not key[2]}))
    for key, settings in values.groupby([*model, "control"]) if level else ():
        row = dict(zip([*model, "control"], key, strict=True))
        low, high = reached[row["codes"], row["variant"], row["control"]]
        value = interpolated(list(settings["cost"]), list(settings["score"]), level) if low <= level <= high else None
        if value is not None:
            yield row | {"metric": wanted.name, "level": level, "value": value}


def _one_of_each(spans: Mapping[tuple[int, str], tuple[float, float]]) -> list[tuple[float, float]]:
    """The ranges of costs that have a voice in where variants are compared: of a sum and its paths one alone."""
    voices = {}
    for (codes, variant), span in sorted(spans.items()):  # a sum stands before its paths
        voices.setdefault((codes, whole_of(variant)), span)
    return list(voices.values())


def _stand_ins(matched: list[dict], wanted: Metric) -> Iterator[dict]:
    """Controls for variants whose own are not at this cost, in rows without a variant: those of the variant that has the best."""
    by_variant: dict[tuple, dict[str, list[dict]]] = {}
    for row in matched:
        if row["control"]:
            by_variant.setdefault((row["codes"], row["control"]), {}).setdefault(row["variant"], []).append(row)
    sign = 1 if wanted.higher_is_better else -1
    for variants in by_variant.values():
        best = max(variants.values(), key=lambda rows: sign * sum(row["value"] for row in rows) / len(rows))
        yield from (row | {"variant": "", "kind": ""} for row in best)


def _of_no_model(metrics: pd.DataFrame, place: Sequence[str], wanted: Metric, score: Metric) -> Iterator[dict]:
    """The score of what is no autoencoder and has no cost, as a control at any."""
    here = (metrics[PLACE] == list(place)).all(axis=1) & (metrics["variant"] == "") & (metrics["control"] != "")
    keys = [*PLACE, "codes", "variant", "kind", "control", "seed"]
    values = metrics[here & (metrics["metric"] == score.name) & (metrics["split"] == "test")]
    for key, value in values.groupby(keys, dropna=False)["value"].mean().items():
        yield dict(zip(keys, key, strict=True)) | {"metric": wanted.name, "value": value}


def with_equal_cost(metrics: pd.DataFrame) -> tuple[pd.DataFrame, dict[tuple, float]]:
    """The rows with those of `at_equal_cost` among them, and the levels of these by `PLACE` and metric."""
    import pandas as pd

    found = at_equal_cost(metrics)
    of_models = found[found["level"].notna()]
    levels = {tuple(row[:-1]): row[-1] for row in of_models[[*PLACE, "metric", "level"]].itertuples(index=False)}
    same = {"params": "{}", "selected": True, "split": "test"}
    added = found.drop(columns="level").assign(eval_dataset=found["dataset"], **same)
    types = {name: metrics[name].dtype for name in added}
    return pd.concat([metrics, added.astype(types)], ignore_index=True), levels


def by_source(table: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The table with the column `by_source`: whether all that was trained in its place was trained as long as in paper B."""
    chosen = metrics[metrics["selected"] & (metrics["variant"] != "") & (metrics["params"] != "{}")]
    told = {text: json.loads(text) for text in chosen["params"].unique()}
    same = chosen["params"].map({text: PROCEDURE.items() <= one.items() for text, one in told.items()}).astype(bool)
    places = same.groupby([chosen[name] for name in PLACE]).all().to_dict()
    keys = table[PLACE].itertuples(index=False)
    return table.assign(by_source=[places.get(tuple(key), False) for key in keys]).astype({"by_source": bool})


class Ranking(NamedTuple):
    """Paper B's systems in one place, by a metric."""

    place: str
    values: Mapping[str, float]
    """by system, in the order of `SYSTEMS`; those that were not measured are missing"""
    first: pd.DataFrame
    """the row of the first system with its controls, none where it was not measured"""


def rankings(table: pd.DataFrame, metric: Metric) -> list[Ranking]:
    """A ranking per dataset, layer and code size, of the first variant of every system."""
    rows = of_metric(table, metric)
    systems = [system_of(*pair) for pair in zip(rows["variant"], rows["kind"], strict=True)]
    rows = rows.assign(system=systems)[rows["mean"].notna().to_numpy() & rows["kind"].astype(bool).to_numpy()]
    keys = ["dataset", "layer", "codes"]
    places = table.loc[table["kind"] != "", keys].drop_duplicates()
    several = [name for name in keys[1:] if places[name].nunique() > 1]
    found = []
    for place in places.to_dict("records"):
        here = rows[(rows[keys] == [place[name] for name in keys]).all(axis=1)]
        here = here.drop_duplicates("system").set_index("system")
        values = {name: float(here.loc[name, "mean"]) for name in SYSTEMS if name in here.index}
        said = ", ".join([place["dataset"], *(_part_of_place(name, place[name]) for name in several)])
        found.append(Ranking(said, values, here.loc[here.index == SYSTEMS[0]]))
    return found


def _part_of_place(name: str, value: object) -> str:
    return f"{value} codes" if name == "codes" else str(value)


def ranked(
    table: pd.DataFrame,
    metrics: Mapping[str, Metric],
    decide: Callable[[list[Ranking], pd.DataFrame], Found],
    said_by: str,
) -> list[Verdict]:
    """The verdicts on a ranking of paper B's systems, for every language model: of its procedure, and of ours.

    Args:
        table: a tidy table without lines of single concepts.
        metrics: by recipe the metric that ranks: the paper's as the source has it, ours at equal sparsity.
        decide: of rankings in which all systems were measured, and of all rows of the language model.
        said_by: who makes the claim.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        here = table[table["lm"] == lm]
        for recipe, metric in metrics.items():
            found = rankings(here, metric)
            lacking = [name for name in SYSTEMS if any(name not in one.values for one in found)]
            if lacking:
                sentence = f"Not measured by {metric.label}: {series(lacking)}.{_sparsity(here)}"
                verdicts.append(Verdict(recipe, lm, NOT_TESTED, sentence))
                continue
            decided, dead = decide(found, here), _dead(here)
            said = [f"{metric.label}: {decided.text}.", *missing_controls(decided)]
            said += (
                [f"Dead: {series(dead)}: the FVU is {number(DEAD, 1)} or more, or a path has collapsed."]
                if dead
                else []
            )
            of_source = said_by != THIS_PROJECT and recipe == "paper"
            found_it = status(decided, bool(dead), of_source)
            if of_source and not here["by_source"].all():
                said.insert(0, NOT_AS_LONG)
                found_it = NOT_TESTED
            verdicts.append(Verdict(recipe, lm, found_it, " ".join(said)))
    return verdicts


def _dead(here: pd.DataFrame) -> list[str]:
    """Variants that explain next to nothing, or whose sparse path has collapsed for a seed, in any place."""
    whole = here[~here["variant"].str.endswith(PATH)]  # a path is not meant to explain anything by itself
    idle, fallen = of_metric(whole, FVU), of_metric(whole, COLLAPSED)
    return list(dict.fromkeys([*idle.loc[idle["mean"] >= DEAD, "variant"], *fallen.loc[fallen["mean"] > 0, "variant"]]))


def _sparsity(here: pd.DataFrame) -> str:
    """What each variant costs at its chosen setting: why some cannot be compared at equal sparsity."""
    rows = of_metric(here, ACTIVE_LATENTS).drop_duplicates("variant")
    costs = [f"{name} {cost:.3g}" for name, cost in zip(rows["variant"], rows["mean"], strict=True)]
    return f" L0 at the chosen settings: {', '.join(costs)}." if costs else ""


def falling(values: Mapping[str, float]) -> bool:
    """Whether each system scores more than .02 above the next."""
    return all(values[first] - values[second] > TOLERANCE for first, second in pairwise(SYSTEMS))


def told_values(values: Mapping[str, float]) -> str:
    """`structured .67, p_annealing .64`."""
    return ", ".join(f"{name} {spoken(value)}" for name, value in values.items())


def best_control(row: Mapping, names: Sequence[str]) -> tuple[str, float] | None:
    """The label and the score of the highest control of a row, None if none was measured."""
    known = [(CONTROLS[name][0], float(row[name])) for name in names if row[name] == row[name]]
    return max(known, key=lambda one: one[1], default=None)


def panels(table: pd.DataFrame, metrics: Sequence[Metric]) -> Iterator[tuple[Axes, pd.DataFrame, Metric]]:
    """A figure of a row of panels per language model and place, one per metric: axes with their rows, if any."""
    from matplotlib.figure import Figure

    from shiftscope.tables.drawing import CONTROL

    places = list(dict.fromkeys(zip(table["lm"], table["layer"], table["dataset"], strict=True)))
    shown = [metric for metric in metrics if metric.name in set(table["metric"])]
    if not shown:
        return
    figure = Figure(figsize=(2.9 * len(shown) + 0.6, 2.2 * len(places) + 0.9), layout="constrained")
    for across, place in zip(figure.subplots(len(places), len(shown), squeeze=False), places, strict=True):
        rows = table[(table[PLACE] == [place[0], place[1], place[2]]).all(axis=1)]
        for axes, metric in zip(across, shown, strict=True):
            axes.set_title(f"{metric.label}\n{place[0]}, {place[2]}" if axes is across[0] else metric.label)
            axes.grid(axis="y", color=CONTROL, linewidth=0.4, alpha=0.35)
            yield axes, of_metric(rows, metric), metric


def curves(axes: Axes, rows: pd.DataFrame, x: str, by: str) -> None:
    """A curve of means with their intervals over the column `x` for every value of the column `by`."""
    from shiftscope.tables.drawing import COLOURS

    for place, (name, line) in enumerate(rows.groupby(by, sort=False)):
        line, colour = line.sort_values(x), COLOURS[place % len(COLOURS)]
        axes.plot(line[x].to_numpy(float), line["mean"], "o-", color=colour, markersize=3.5, linewidth=1.2, label=name)
        axes.vlines(line[x].to_numpy(float), line["low"], line["high"], color=colour, linewidth=2, alpha=0.5)


def legend(axes: Axes) -> None:
    """The legend of all curves below the figure to which the axes belong."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.figure.legend(named.values(), named, loc="outside lower left", ncols=3, frameon=False)
