"""The log-posterior test: are representations linear in what the text so far says of its concepts, as exactly computed?

Paper B's Theorem 3.1 says so of the joint log-posterior of the concepts, Corollary 4.3 of each concept's. The source tests it by
probes alone, for nobody knows a text's posterior. Of a grammar it is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.posterior import (
    POSTERIOR_CALIBRATION,
    POSTERIOR_EXCLUDED,
    POSTERIOR_R2,
    REPRESENTATION_R2,
)
from shiftscope.tables.layers import LAST, by_depth
from shiftscope.tables.numbers import spoken
from shiftscope.tables.tidy import assemble, joined
from shiftscope.tables.verdicts import (
    NOT_TESTED,
    Found,
    Verdict,
    concluded,
    matched_by,
    of_metric,
)
from shiftscope.vocabulary import JOINT, NULL, SYNTHETIC

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Log-posterior · Are representations linear in what the text says of its concepts?"
CLAIM = (
    "A representation is linear in the log-posterior of the concepts given the text: either can be read from the other."
)
SAID_BY = "paper B, Theorem 3.1 and Corollary 4.3; tested by this project"
PARTS = "posterior"
METRICS = (POSTERIOR_R2, REPRESENTATION_R2, POSTERIOR_CALIBRATION, POSTERIOR_EXCLUDED)
PUBLISHED: dict = {}
SOURCE = "no numbers: of the text that paper B reads nobody knows the posterior."
EMPTY = "No language model that was trained on a grammar was compared with its posterior."
LINEAR = 0.9
"""R² from which on this project calls it linear; no source names a number"""
NOTHING = 0.1
"""R² up to which a representation tells nothing of a NULL concept; ours"""
CONTROLLED = ("untrained_lm", "bag_of_tokens", "permuted_labels")


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with a concept, or several, in the place of a variant, a row per layer, and after that per checkpoint.

    The column `excluded` is the share of contexts that are left out, `n` the number of random halves.

    Raises:
        ShiftScopeError: a score has no share of excluded contexts.
    """
    import pandas as pd

    rows = metrics[(metrics["lm"] != SYNTHETIC) & metrics["concept"].notna()]
    rows = rows.assign(variant=rows["concept"])
    tables = [assemble(rows, METRICS, PUBLISHED)]
    for step in sorted(rows["step"].dropna().unique()):
        here = rows[rows["step"] == step].assign(step=pd.NA)
        here = here.assign(variant=here["concept"] + f", after {step} steps")
        tables.append(assemble(here, METRICS, PUBLISHED))
    table = joined(tables)
    table = table[~table["dataset"].str.contains(", ", regex=False)]
    table = _with_excluded(table.astype({"variant": "string"}))
    order = by_depth(table["layer"])
    first = list(dict.fromkeys(table["variant"]))
    places = {"layer": order.index, "variant": first.index}
    return table.sort_values(
        ["lm", "dataset", "variant", "layer"], kind="stable", ignore_index=True,
        key=lambda keys: keys.map(places.get(keys.name, lambda key: key)),
    )  # fmt: skip


def _with_excluded(table: pd.DataFrame) -> pd.DataFrame:
    shares = of_metric(table, POSTERIOR_EXCLUDED)
    share = {(row["lm"], row["dataset"], row["variant"]): row["mean"] for row in shares.to_dict("records")}
    keys = zip(table["lm"], table["dataset"], table["variant"].str.split(", after ").str[0], strict=True)
    table = table.assign(excluded=[share.get(key, float("nan")) for key in keys])
    if table["excluded"].isna().any():
        row = table[table["excluded"].isna()].iloc[0]
        raise ShiftScopeError(
            f"the score of {row['variant']} of {row['lm']} came without the share of contexts that were left out: make its part again"
        )
    return table


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where, at the last layer, both R² are .9 or more for every joint posterior; without one, that of every concept's
    log-posterior; and where that of a NULL concept, of which nothing follows, is .1 or less.

    The other way round a single concept can tell only its part of a representation. Controls: the untrained network, counts of
    tokens, and permuted posteriors, if one comes within .02 or more anywhere.
    """
    verdicts = []
    for lm in dict.fromkeys(table["lm"]):
        here = table[(table["lm"] == lm) & (table["layer"] == LAST)]
        here = here[~here["variant"].str.contains(", after ", regex=False)]
        null = here["variant"].str.endswith(NULL)
        joint = here["variant"].str.contains(JOINT, regex=False)
        rows = here[joint] if joint.any() else here[~null]
        told, tells = (of_metric(rows, metric).set_index("variant") for metric in (POSTERIOR_R2, REPRESENTATION_R2))
        if told.empty:
            verdicts.append(Verdict("ours", lm, NOT_TESTED, "No concept is uncertain in a graded way."))
            continue
        found = _found(told, tells, of_metric(here[null], POSTERIOR_R2), bool(joint.any()))
        verdicts.append(concluded("ours", lm, found))
    return verdicts


def _found(told: pd.DataFrame, tells: pd.DataFrame, null: pd.DataFrame, joint: bool) -> Found:
    controls = {}
    for name in CONTROLLED:
        matched = matched_by(told, name) & (matched_by(tells, name) | (not joint))
        missing = told[name].isna().any() or (joint and tells[name].isna().any())
        controls[name] = True if matched.any() else None if missing else False
    text = "; ".join(
        f"{name}: R² {spoken(one['mean'])} of the log-posterior, {spoken(other['mean'])} of the representation (untrained "
        f"{spoken(one['untrained_lm'])} and {spoken(other['untrained_lm'])}, bag of tokens {spoken(one['bag_of_tokens'])} and "
        f"{spoken(other['bag_of_tokens'])}; {spoken(one['excluded'])} of the contexts left out)"
        for (name, one), (_, other) in zip(told.iterrows(), tells.iterrows(), strict=True)
    )
    text += "".join(
        f"; {one['variant']}: {spoken(one['mean'])} (untrained {spoken(one['untrained_lm'])})"
        for one in null.to_dict("records")
    )
    holds = (told["mean"] >= LINEAR).all() and (not joint or (tells["mean"] >= LINEAR).all())
    return Found(bool(holds and (null["mean"] <= NOTHING).all()), controls, text)


def finding(table: pd.DataFrame) -> str:
    """Nothing for the top of the report: this is of representations, not of vectors."""
    return ""
