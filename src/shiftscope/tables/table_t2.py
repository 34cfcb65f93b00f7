"""T-2: more concepts than dimensions: who finds those that vary, an autoencoder of embeddings or one of shifts.

The talk ("Reliably steering and interpreting LLMs with causal representation learning") argues: with |C| > d concepts z
is not injective in them, so an autoencoder of z cannot identify them; of pairs only those concepts show that vary, and
|V| ≤ d. Here as a contest over worlds that differ from one in one thing each: how many concepts are active in a text, how
many there are, how many pairs change one alone, and how many change one that was not meant to.

It is made fair to the talk's own sparse autoencoder of z. The first world is the one that such autoencoders are made for:
few active concepts, none negative. It has more codes than there are concepts, and `l1` is chosen by the true concepts of
training pairs, while SSAE is chosen by UDR. A concept may be spread over two of its codes, which have one sign each. But
many codes and two of them a concept make a match easier by chance: beside each score stand the same network untrained and
as many random directions, scored alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.correlation import MCC_TWO_CODES
from shiftscope.tables import contests
from shiftscope.tables.contests import contest, of_recipe
from shiftscope.tables.numbers import count, series, span, spoken
from shiftscope.tables.verdicts import IDENTIFIED, THIS_PROJECT, TOLERANCE, Found, Verdict, anywhere, judged

if TYPE_CHECKING:
    import pandas as pd

TITLE = "T-2 · More concepts than dimensions: shifts against embeddings"
CLAIM = (
    "With more concepts than dimensions SSAE on shifts finds those that vary, and a sparse autoencoder of embeddings finds "
    "them no better and mostly worse, wherever only those change that are meant to."
)
SAID_BY = THIS_PROJECT
PARTS = "crowded"
METRICS, PUBLISHED, SOURCE = contests.METRICS, contests.PUBLISHED, contests.SOURCE
EMPTY = "No variant was run on a dataset with more concepts than dimensions."
CONTROLS_OF_SSAE = ("permuted_labels", "random_dictionary", "untrained_sae")
"""What could do as well without learning anything of the pairs."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """See `shiftscope.tables.contests.build`."""
    return contests.build(metrics)


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, in worlds without unmeant changes, SSAE's mean MCC is at least .95 and nowhere more than .02 below that of
    the autoencoder of embeddings, and more than .02 above it in most; the sentence says of all worlds where it is not.

    Controls: permuted labels, random directions and the untrained SSAE, if one scores as high in such a world.
    """
    return judged(table, MCC_TWO_CODES, _found, SAID_BY, needs_rival=False)


def _found(rows: pd.DataFrame, here: pd.DataFrame) -> Found | None:
    worlds = _once(contest(of_recipe(rows, here)))
    meant = worlds[~((worlds["field"] == "unintended") & (worlds["value"] > 0))]
    if meant.empty:
        return None
    found = bool((meant["mean"] >= IDENTIFIED).all() and (meant["lead"] >= -TOLERANCE).all())
    return Found(
        found and bool((meant["lead"] > TOLERANCE).mean() > 0.5),
        {control: anywhere(meant, control) for control in CONTROLS_OF_SSAE},
        f"MCC by up to two codes a concept over {count(len(worlds), 'world')} {span(worlds['mean'])}; "
        f"{series(worlds['other'].unique())} {span(worlds['embeddings'])}, to which training adds {span(worlds['gain'])}; "
        f"as many random directions {span(worlds['random'])}. {_exceptions(worlds)}",
    )


def _once(worlds: pd.DataFrame) -> pd.DataFrame:
    """Every world once: one that stands on several axes, for it has the law's own values, has equal scores on all."""
    return worlds.drop_duplicates(["mean", "embeddings"])


def _exceptions(worlds: pd.DataFrame) -> str:
    """The worlds in which SSAE is level with the autoencoder of embeddings, and those in which it is below."""
    sentences = []
    level, below = worlds["lead"].abs() <= TOLERANCE, worlds["lead"] < -TOLERANCE
    for what, rows in (("Level with it", worlds[level]), ("Below it", worlds[below])):
        named = [f"{row['dataset']} ({spoken(row['mean'])} against {spoken(row['embeddings'])})"
                 for row in rows.to_dict("records")]  # fmt: skip
        sentences.append(f"{what}: {'; '.join(named) or 'nowhere'}")
    return ". ".join(sentences)


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if one of the two was not run."""
    worlds = _once(contest(table))
    if worlds.empty:
        return ""
    above, below = (int((sign * worlds["lead"] > TOLERANCE).sum()) for sign in (1, -1))
    return (
        f"With more concepts than dimensions shifts tell more than embeddings in {above} of "
        f"{count(len(worlds), 'world')} and less in {below}."
    )
