"""A-F2: steering in distribution, cosine between steered and target embeddings of held-out single-concept pairs.

Paper A, §3, Figure 2: mean ± sd of cosine(z̃, steered z) by dataset for SSAE, a pretrained SAE, the affine
autoencoder, PCA and the mean difference, on Llama-3.1-8B. The authors' code chooses the best column anew for every
pair (`cosine_published`), which rewards having many columns; `cosine_heldout` chooses on one half of the pairs and
scores on the other. Beside both stand not steering at all and a dictionary of random directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftscope.tables.assemble import FAMILIES, assemble, ordered, published_number
from shiftscope.tables.verdicts import TOLERANCE, never_below, scores, sparse_variants, status
from shiftscope.tables.words import count, spoken

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "A-F2 · Steering in distribution: cosine to the target"
CLAIM = "SSAE's vectors bring an embedding closer to its counterpart than those of the affine autoencoder and of PCA."
PARTS = "language"
METRICS = ("cosine_published", "cosine_heldout")
_SYSTEMS = ("ssae", "pretrained_sae", "affine", "pca", "mean_difference")
_READ_OFF = {
    "lang_1_1": (0.46, 0.49, 0.43, 0.29, 0.42),
    "gender_1_1": (0.65, 0.59, 0.61, 0.37, 0.49),
    "binary_2_2": (0.77, 0.58, 0.58, 0.16, None),
    "corr_2_1": (0.69, 0.49, 0.44, 0.28, None),
    "cat_135_3": (0.76, 0.47, 0.61, 0.32, None),
    "truthfulqa_1_1": (0.73, 0.66, 0.60, 0.03, 0.18),
}
PUBLISHED = {
    "cosine_published": {
        dataset: dict(zip(_SYSTEMS, values, strict=True)) for dataset, values in _READ_OFF.items()
    }
}  # fmt: skip
CAPTION = (
    "Cosine between steered and target embedding on held-out pairs in which one concept changes. Points: mean over "
    "seeds and concepts; thin lines: ± one standard deviation over pairs; thick: 95 % interval of the mean."
)
SOURCE = "paper A, Figure 2, on Llama-3.1-8B; read off the authors' figure, so to about ±.01."


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table, with `sd_pairs`, the mean over seeds of the sd over pairs (the source's ± is over pairs).

    The source's pretrained SAE, which is not run here, has rows of its own, with no score and beside the smallest
    code size of a dataset.
    """
    import pandas as pd

    table = assemble(metrics, [*METRICS, *(f"{metric}_sd" for metric in METRICS)], PUBLISHED)
    keys = ["lm", "layer", "dataset", "codes", "variant", "metric"]
    is_spread = table["metric"].str.endswith("_sd")
    spread = table.loc[is_spread, [*keys, "mean"]].rename(columns={"mean": "sd_pairs"})
    spread["metric"] = spread["metric"].str.removesuffix("_sd")
    table = table[~is_spread].merge(spread, on=keys, how="left")
    foreign = _not_run_here(table)
    if foreign:
        columns = table.columns
        table = pd.concat([table, pd.DataFrame(foreign).reindex(columns=columns).astype(table.dtypes)])
    return ordered(table, METRICS, PUBLISHED)


def _not_run_here(table: pd.DataFrame) -> list[dict]:
    run = table[table["metric"] == "cosine_published"].sort_values("codes").drop_duplicates(["lm", "layer", "dataset"])
    rows = []
    for key in run[["lm", "layer", "dataset", "codes", "metric"]].to_dict("records"):
        number = published_number(PUBLISHED, key["metric"], key["dataset"], "pretrained_sae")
        if number is not None and "pretrained_sae" not in set(table["variant"]):
            rows.append(key | {"variant": "pretrained_sae", "n": 0, "published": number})
    return rows


def verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Holds where SSAE is below affine or PCA on no dataset and above both on most, by the published score.

    Controls: the same by the held-out score, and there it must also beat random directions and not steering.
    """
    variants = sparse_variants(table, "cosine_published")
    holds = {variant: _beats(table, "cosine_published", variant) for variant in variants}
    matched = {variant: not _survives(table, variant) for variant in variants}
    sentences = [_sentence(table, variant) for variant in variants]
    return status(holds, matched), " ".join(sentences) or "No SSAE and its affine twin were run."


def _gains(table: pd.DataFrame, metric: str, variant: str) -> pd.DataFrame:
    """Mean differences to affine, PCA, random directions and not steering, by dataset; null where not measured."""
    rows = scores(table, metric, variant).set_index(["lm", "layer", "dataset"])
    pca = scores(table, metric, "pca").drop_duplicates(["lm", "layer", "dataset"]).set_index(["lm", "layer", "dataset"])
    gains = rows[["difference"]].rename(columns={"difference": "affine"})
    gains["pca"] = rows["mean"] - pca["mean"].reindex(rows.index)
    gains["random directions"] = rows["mean"] - rows["random_dictionary"]
    gains["not steering"] = rows["mean"] - rows["no_steering"]
    return gains


def _beats(table: pd.DataFrame, metric: str, variant: str) -> bool:
    rivals = _gains(table, metric, variant)[["affine", "pca"]]
    above_both = ((rivals > 0) | rivals.isna()).all(axis=1)
    return never_below(scores(table, metric, variant)) and bool(
        ((rivals["pca"] > -TOLERANCE) | rivals["pca"].isna()).all() and above_both.mean() > 0.5
    )


def _survives(table: pd.DataFrame, variant: str) -> bool:
    controls = _gains(table, "cosine_heldout", variant)[["random directions", "not steering"]]
    above_controls = ((controls > 0) | controls.isna()).all(axis=1)
    return _beats(table, "cosine_heldout", variant) and bool(above_controls.mean() > 0.5)


def _sentence(table: pd.DataFrame, variant: str) -> str:
    published, heldout = (_gains(table, metric, variant) for metric in METRICS)
    means = [scores(table, metric, variant)["mean"].mean() for metric in METRICS]
    return (
        f"{variant}: of {count(len(published), 'dataset')}, as published (mean {spoken(means[0])}) above "
        f"{_wins(published)}; held out (mean {spoken(means[1])}) above {_wins(heldout)}."
    )


def _wins(gains: pd.DataFrame) -> str:
    return ", ".join(f"{rival} on {int((gains[rival] > 0).sum())}" for rival in gains if gains[rival].notna().any())


def finding(table: pd.DataFrame) -> str:
    """This table in one clause for the top of the report, empty if no SSAE was run."""
    variants = sparse_variants(table, "cosine_heldout")
    if not variants:
        return ""
    rows = scores(table, "cosine_heldout", variants[0])
    beside = [f"{spoken((rows['mean'] - rows['difference']).mean())} without sparsity"]
    if rows["no_steering"].notna().any():
        beside.append(f"{spoken(rows['no_steering'].mean())} unsteered")
    return f"steers held-out pairs to a mean cosine of {spoken(rows['mean'].mean())} ({', '.join(beside)})"


def draw(table: pd.DataFrame) -> Figure:
    """A panel per dataset, a line per variant: both scores, the source's number, and the controls in grey."""
    from shiftscope.tables.drawing import CONTROL, FIRST, SECOND, TEXT, grid, legend, nothing, points

    panels = list(dict.fromkeys(zip(table["lm"], table["layer"], table["dataset"], table["codes"], strict=True)))
    if not panels:
        return nothing()
    order = [name for name in FAMILIES if name in set(table["variant"])]
    variants = [*order, *sorted(set(table["variant"]) - set(order))]
    figure, all_axes, aside = grid(len(panels), variants, columns=2)
    for axes, (lm, layer, dataset, codes) in zip(all_axes, panels, strict=True):
        here = table[(table[["lm", "layer", "dataset", "codes"]] == [lm, layer, dataset, codes]).all(axis=1)]
        axes.set_title(_panel_title(table, lm, layer, dataset, codes))
        points(axes, here[here["metric"] == "cosine_published"], variants, FIRST, offset=-0.17, hollow=True)
        points(axes, here[here["metric"] == "cosine_heldout"], variants, SECOND, offset=0.17)
        _controls(axes, here, variants)
    legend(
        aside,
        [
            ("o", "none", FIRST, "as published: best column for each pair"),
            ("o", SECOND, SECOND, "held out: chosen on half, scored on half"),
            ("x", TEXT, TEXT, "the paper's number (Llama-3.1-8B)"),
            ("D", "none", CONTROL, "random directions, held out"),
            ("|", CONTROL, CONTROL, "no steering"),
        ],
    )
    return figure


def _panel_title(table: pd.DataFrame, lm: str, layer: str, dataset: str, codes: int) -> str:
    """The dataset, and whatever else tells two panels apart."""
    same = table[table["dataset"] == dataset]
    extra = [str(value) for value, column in ((lm, "lm"), (layer, "layer")) if same[column].nunique() > 1]
    return ", ".join([dataset, *extra, count(codes, "code")])


def _controls(axes, here: pd.DataFrame, variants: list[str]) -> None:
    from shiftscope.tables.drawing import CONTROL, TEXT

    unsteered = here["no_steering"].dropna()
    if len(unsteered):
        axes.axvline(unsteered.mean(), color=CONTROL, linewidth=1, zorder=1)
    for row in here.to_dict("records"):
        place = variants.index(row["variant"])
        if row["metric"] == "cosine_heldout":
            axes.plot(row["random_dictionary"], place + 0.17, "D", mfc="none", mec=CONTROL, markersize=4, zorder=2)
        else:
            axes.plot(row["published"], place - 0.17, "x", color=TEXT, markersize=5, zorder=4)
