"""B-T2: features of autoencoders against the concepts of word pairs: as published, held out, at equal sparsity.

Paper B (§5-6, App. H.3, Table 2) ranks four autoencoders of Pythia-70M's last layer so. Choosing one of many features
on the very words that are scored inflates it, and dense features score higher than sparse ones, whatever they are. So
beside each score stand permuted labels, the untrained language model, the untrained autoencoder, as many random
directions, the raw neurons and principal directions; and variants are ranked once more by held-out words where they
have equally many active latents, between the settings of each, and where they leave an equal error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.metrics.dictionary import (
    ACTIVE_LATENTS,
    ACTIVE_SPARSE,
    CE_RECOVERED,
    COLLAPSED,
    DEAD_SHARE,
    FVU,
    MCC_DOCUMENTS,
    SPARSE_SHARE,
)
from shiftscope.metrics.matched import FVU_AT_L0, PCC_AT_FVU, PCC_AT_L0
from shiftscope.metrics.pcc import (
    LATENT_F1,
    PCC,
    PCC_COVERAGE,
    PCC_HELDOUT,
    PCC_HELDOUT_COVERAGE,
    PCC_OTHERS,
    PCC_TRUTH,
)
from shiftscope.tables.numbers import spoken
from shiftscope.tables.saes import (
    PLACE,
    Ranking,
    best_control,
    by_source,
    falling,
    on_words,
    ranked,
    told_values,
    with_equal_cost,
)
from shiftscope.tables.tidy import assemble
from shiftscope.tables.verdicts import Found, Verdict, anywhere, of_metric

if TYPE_CHECKING:
    import pandas as pd

TITLE = "B-T2 · Features against the concepts of word pairs, by autoencoder of activations"
CLAIM = (
    "Mean PCC falls from the structured autoencoder over p-annealing and top-k to batch top-k, so structure and "
    "dynamic sparsity find concepts."
)
SAID_BY = "paper B, §6, App. H.3, Table 2"
PARTS = "saes"
METRICS = (
    PCC, PCC_COVERAGE, PCC_HELDOUT, PCC_HELDOUT_COVERAGE, PCC_AT_L0, PCC_AT_FVU, PCC_TRUTH, LATENT_F1, MCC_DOCUMENTS,
    PCC_OTHERS,
    FVU, FVU_AT_L0, ACTIVE_LATENTS, ACTIVE_SPARSE, SPARSE_SHARE, COLLAPSED, DEAD_SHARE, CE_RECOVERED,
)  # fmt: skip
SOURCE = (
    "paper B, Table 2, of Pythia-70M on the Pile. Its coverage counts the row of averages as a 28th concept; here it "
    "is over 27: 11.1, 7.4, 88.9 and 96.3 % in place of 10.7, 7.1, 89.3 and 96.4."
)
EMPTY = "No autoencoder of activations was measured on words whose concepts are known."
COLUMNS = ("topk", "batch_topk", "p_annealing", "structured")
"""of the source's table"""
AVERAGE = "average"
PUBLISHED = {
    "pcc": {
        name: dict(zip(COLUMNS, values, strict=True))
        for name, values in {
            AVERAGE: (0.365, 0.331, 0.638, 0.674),
            "3psg_ved": (0.432, 0.332, 0.680, 0.691),
            "adj_adj_ly": (0.379, 0.396, 0.794, 0.833),
            "adj_comparative": (0.425, 0.334, 0.592, 0.727),
            "adj_superlative": (0.321, 0.302, 0.772, 0.746),
            "adj_un_adj": (0.534, 0.472, 0.741, 0.732),
            "country_capital": (0.205, 0.165, 0.495, 0.540),
            "english_french": (0.291, 0.265, 0.666, 0.649),
            "french_german": (0.264, 0.226, 0.550, 0.607),
            "french_spanish": (0.389, 0.264, 0.560, 0.561),
            "frequent_infrequent": (0.262, 0.255, 0.472, 0.554),
            "german_spanish": (0.250, 0.251, 0.667, 0.701),
            "lower_upper": (0.204, 0.293, 0.531, 0.543),
            "male_female": (0.413, 0.312, 0.532, 0.544),
            "noun_plural": (0.357, 0.346, 0.636, 0.650),
            "pronoun_possessive": (0.725, 0.779, 0.998, 0.991),
            "small_big": (0.327, 0.225, 0.506, 0.547),
            "thing_color": (0.588, 0.574, 0.895, 0.880),
            "thing_part": (0.240, 0.207, 0.400, 0.453),
            "verb_3psg": (0.312, 0.268, 0.622, 0.617),
            "verb_v_able": (0.458, 0.361, 0.763, 0.806),
            "verb_v_er": (0.318, 0.363, 0.609, 0.666),
            "verb_v_ment": (0.407, 0.288, 0.623, 0.674),
            "verb_v_tion": (0.429, 0.357, 0.653, 0.706),
            "verb_ved": (0.371, 0.333, 0.573, 0.656),
            "verb_ving": (0.369, 0.485, 0.612, 0.728),
            "ving_3psg": (0.286, 0.233, 0.646, 0.711),
            "ving_ved": (0.304, 0.245, 0.627, 0.682),
        }.items()
    },
    "pcc_coverage": {AVERAGE: dict(zip(COLUMNS, (3 / 27, 2 / 27, 24 / 27, 26 / 27), strict=True))},
}
CONTROLS_OF_SAES = ("permuted_labels", "untrained_lm", "untrained_sae", "random_dictionary", "neurons", "pca")
"""What could do as well without a trained dictionary."""


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of places, and of every concept in them (column `concept`); `level` is the equal cost of rows."""
    import pandas as pd

    metrics, levels = with_equal_cost(on_words(metrics))
    places = {name: "" for name in metrics["dataset"].unique()}
    per_concept = metrics[metrics["metric"].isin([PCC.name, PCC_HELDOUT.name]) & metrics["concept"].notna()]
    named = per_concept["dataset"] + ": " + per_concept["concept"].astype(str)
    places |= dict(zip(named, per_concept["concept"], strict=True))
    rows = pd.concat([metrics, per_concept.assign(dataset=named, eval_dataset=named)], ignore_index=True)
    others = per_concept[
        ~per_concept["concept"].isin(PUBLISHED["pcc"].keys())
    ]  # the averages are of the source's concepts
    published = {
        metric: {
            place: numbers.get(concept or AVERAGE, {}) if concept or place not in set(others["dataset"]) else {}
            for place, concept in places.items()  # which is also the order of rows: places before their concepts
        }
        for metric, numbers in PUBLISHED.items()
    }
    table = assemble(rows, METRICS, published)
    table = by_source(table, metrics)
    keys = table[[*PLACE, "metric"]].itertuples(index=False)
    return table.assign(
        concept=table["dataset"].map(places).astype("string"), level=[levels.get(tuple(key)) for key in keys]
    ).astype({"level": float})


def verdict(table: pd.DataFrame) -> list[Verdict]:
    """Holds where each system's mean PCC is more than .02 above the next one's: of the paper's recipe as it has it,
    at the first setting of each, trained as long as there; of ours held out, at equally many active latents.

    Where a path is sparse and another is not, the sparse one is ranked at equal L0. Controls, if one scores as high as the
    structured autoencoder, those that have active latents at equally many: permuted labels, the untrained language model,
    the untrained autoencoder, random directions, neurons and principal directions.
    """
    whole = table[table["concept"] == ""]
    return ranked(whole, {"paper": PCC, "ours": PCC_AT_L0}, _found, SAID_BY)


def _found(found: list[Ranking], here: pd.DataFrame) -> Found:
    import pandas as pd

    first = pd.concat([one.first for one in found])
    return Found(
        all(falling(one.values) for one in found),
        {control: anywhere(first, control) for control in CONTROLS_OF_SAES},
        "; ".join(
            f"{one.place} {told_values(one.values)}{_at(row)}{_beside(row)}"
            for one, row in zip(found, first.to_dict("records"), strict=True)
        ),
    )


def _at(row: dict) -> str:
    return f" at L0 {row['level']:.3g}" if row["level"] == row["level"] else ""


def _beside(row: dict) -> str:
    best = best_control(row, CONTROLS_OF_SAES)
    return f" ({row['variant']} {spoken(row['mean'])}, {best[0]} {spoken(best[1])})" if best else ""


def finding(table: pd.DataFrame) -> str:
    """This table in one sentence for the top of the report, empty if nothing could be compared at equal sparsity."""
    rows = of_metric(table[(table["concept"] == "") & table["mean"].notna()], PCC_AT_L0)
    sentences = []
    for (lm, _), here in rows.groupby(["lm", "dataset"], sort=False):
        best = best_control(here.iloc[0], CONTROLS_OF_SAES)
        beside = f" ({best[0]}, without a trained dictionary, {spoken(best[1])})" if best else ""
        scores = told_values(dict(zip(here["variant"], here["mean"], strict=True)))
        sentences.append(f"on {lm} {scores} at {here['level'].iloc[0]:.3g} active latents{beside}")
    text = "; ".join(sentences)
    return text and f"Held-out PCC of sparse autoencoders: {text}."
