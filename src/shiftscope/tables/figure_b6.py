"""B-F6: reconstruction error over training, on the word pairs, as published, and on held-out tokens of the corpus.

Paper B, App. H.3, Figure 6. An error is low where many latents are active, whatever the method: what is claimed of the
fixed-k autoencoders is asked once more at equal sparsity, between the settings of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.dictionary import ACTIVE_LATENTS, COLLAPSED, FVU, MSE, MSE_WORDS
from shiftscope.metrics.matched import FVU_AT_L0
from shiftscope.tables.numbers import known
from shiftscope.tables.saes import (
    PLACE,
    Ranking,
    by_source,
    by_step,
    curves,
    legend,
    on_words,
    panels,
    ranked,
    with_equal_cost,
)
from shiftscope.tables.verdicts import TOLERANCE, Found, Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "B-F6 · Reconstruction error over training"
CLAIM = "p-annealing reconstructs better than top-k and batch top-k, and the structured autoencoder best of all."
SAID_BY = "paper B, App. H.3, Figure 6"
PARTS = "saes"
METRICS = (MSE_WORDS, MSE, FVU, ACTIVE_LATENTS, COLLAPSED, FVU_AT_L0)
PUBLISHED: dict = {}
SOURCE = "paper B, Figure 6, has curves alone, and none of its numbers is in the extracted text."
EMPTY = "No autoencoder of activations was measured on words whose concepts are known."
CAPTION = (
    "Mean squared error over steps of training: left on the words of the concepts, right on held-out tokens; at step 0 "
    "the untrained autoencoder. Points: mean over seeds; bars: 95 % interval of the mean."
)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table by step; what is at equal sparsity stands at the last step of its variant."""
    import pandas as pd

    rows, levels = with_equal_cost(on_words(metrics))
    equal = rows["metric"] == FVU_AT_L0.name
    table = by_step(rows[~equal], METRICS[:-1])
    last = table.groupby("variant")["step"].max().astype(int).to_dict()
    ends = rows["variant"].map(lambda name: f'{{"steps":{last.get(name, 0)}}}')
    found = by_step(rows[equal].assign(params=ends[equal]), [FVU_AT_L0])
    table = pd.concat([table, found], ignore_index=True) if len(found) else table
    table = by_source(table, rows[~equal])
    keys = table[[*PLACE, "metric"]].itertuples(index=False)
    return table.assign(level=[levels.get(tuple(key)) for key in keys]).astype({"level": float})


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where at the last step the structured autoencoder's error is the lowest and p-annealing's is below both
    fixed-k ones', by more than 2 %: of the paper's recipe on the words, at the first setting of each, trained as long as there; of ours on held-out
    tokens, at equally many active latents.

    Control: the untrained autoencoder, if it leaves as large an error as the structured one after training; at equally
    many active latents, if none of its own has so few, the best untrained autoencoder that has.
    """
    last = table[table["step"] == table.groupby([*PLACE, "variant"])["step"].transform("max")]
    return ranked(last, {"paper": MSE_WORDS, "ours": FVU_AT_L0}, lambda found, _: _found(found, table), SAID_BY)


def _found(found: list[Ranking], table: pd.DataFrame) -> Found:
    first = [one.first.iloc[0] for one in found]
    untrained = table[(table["step"] == 0) & (table["metric"] == first[0]["metric"]) & table["mean"].notna()]
    pairs = [(row["mean"], _untrained(untrained, row)) for row in first]
    return Found(
        all(_lowest(one.values) for one in found),
        {"untrained_sae": _no_better(pairs)},
        "; ".join(
            f"{one.place} {', '.join(f'{name} {value:.3g}' for name, value in one.values.items())}" for one in found
        ),
    )


def _untrained(untrained: pd.DataFrame, row: pd.Series) -> float | None:
    keys = [*PLACE, "codes"]
    rows = untrained[(untrained[keys] == [row[name] for name in keys]).all(axis=1)]
    own = rows[rows["variant"] == row["variant"]]["mean"]
    if len(own):
        return float(own.iloc[0])
    return float(rows["mean"].min()) if len(rows) else None


def _lowest(values: dict[str, float]) -> bool:
    """Whether the structured error is below p-annealing's, and that below both of fixed k."""
    annealed = values["p_annealing"]
    return _below(values["structured"], annealed) and all(
        _below(annealed, values[name]) for name in ("topk", "batch_topk")
    )


def _below(first: float, second: float) -> bool:
    return first < second * (1 - TOLERANCE)


def _no_better(pairs: list[tuple[float | None, float | None]]) -> bool | None:
    """Whether training lowers an error nowhere; None if one was not measured."""
    if not all(known(value) for pair in pairs for value in pair):
        return None
    return any(not _below(trained, untrained) for trained, untrained in pairs)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: `table_b2` says what matters of autoencoders of activations."""
    return ""


def draw(table: pd.DataFrame) -> Figure:
    """A row of panels per place: the error on words and on held-out tokens over steps, a curve per variant."""
    from shiftscope.tables.drawing import nothing

    axes = None
    for axes, rows, _ in panels(table, (MSE_WORDS, MSE)):
        curves(axes, rows, "step", "variant")
        axes.set_yscale("log")
        axes.set_xlabel("step")
    if axes is None:
        return nothing(EMPTY)
    legend(axes)
    return axes.figure
