"""Every path under `results/`: written and parsed here, and nowhere else (docs/file-formats.md says what is in them)."""

import re
from pathlib import Path

from shiftscope.errors import ShiftScopeError
from shiftscope.vocabulary import SYNTHETIC

RESULTS = Path("results")
LEDGER = RESULTS / "provenance.jsonl"
LMS = RESULTS / "lms"
LEFT_OUT = RESULTS / ".dvcignore"
"""weights that are links to where they came from"""

DOCUMENTS, REJECTED_DOCUMENTS, CORPUS = (
    f"results/corpora/{{corpus}}/{file}" for file in ("documents.parquet", "rejected.csv", "manifest.json")
)
LM = "results/lms/{lm}/manifest.json"
WINDOWS, WINDOWS_MANIFEST = (f"results/activations/{{lm}}/{{dataset}}/windows.{ending}" for ending in ("arrow", "json"))
SHARD, PART_MANIFEST, STORE = (
    f"results/activations/{{lm}}/{{dataset}}/{file}"
    for file in ("{part}/shard_{shard}.arrow", "{part}/manifest.json", "manifest.json")
)
PAIRS, REJECTED, PAIRS_MANIFEST = (
    f"results/pairs/{{dataset}}/{file}" for file in ("pairs.parquet", "rejected.csv", "manifest.json")
)
REFUSED = "results/logs/make_pairs/{dataset}.rejected.csv"
"""the same as `REJECTED`, of a job that failed: Snakemake deletes what such a job has written elsewhere"""
EMBEDDINGS, EMBEDDINGS_MANIFEST = (
    f"results/embeddings/{{lm}}/{{dataset}}/{file}" for file in ("embeddings.safetensors", "manifest.json")
)
WORLDS, WORLDS_MANIFEST = (
    f"results/simulations/{{dataset}}/{file}" for file in ("worlds.safetensors", "manifest.json")
)
MODELS, MODELS_SIDECAR = (
    f"results/models/{{lm}}/{{dataset}}/codes_{{codes}}/{{variant}}/seeds_{{block}}.{ending}"
    for ending in ("safetensors", "json")
)
SELECTION = "results/selection/{lm}/{dataset}.json"
PART = "results/parts/{lm}/{dataset}.parquet"
BEHAVIOUR = "results/parts/{lm}/behaviour/{dataset}.parquet"
IDENTITY = "results/parts/{lm}/identity/{dataset}.parquet"
TRANSFER = "results/parts/{lm}/_transfer.parquet"
"""no dataset's name begins so"""
POSTERIOR = "results/parts/{lm}/_posterior.parquet"
CAUSAL, SAMPLES = "results/parts/{lm}/_causal.parquet", "results/samples/{lm}.json"
CARDS = "results/cards/{lm}/{dataset}.json"
VECTORS, OTHER_VECTORS, VECTORS_ABOUT = (
    f"results/vectors/{{lm}}/{{dataset}}/{{variant}}/{file}"
    for file in ("steering_vectors.safetensors", "other_seeds.safetensors", "steering_vectors.json")
)
VECTORS_CARD, VECTORS_README = (f"results/vectors/{{lm}}/{{dataset}}/{file}" for file in ("card.json", "README.md"))
"""of the vectors that are recommended"""
DIAGNOSIS = "results/diagnosis/{lm}/{dataset}.json"
METRICS, MEANS = "results/metrics.parquet", "results/metrics.json"
TABLE, FIGURE = "results/tables/{table}", "results/figures/{figure}"
"""without their endings"""
REPORT, LATENTS, VECTORS_PAGE, RUN = (
    f"results/{file}" for file in ("report/index.html", "report/latents.html", "report/vectors.html", "run.json")
)
LOG, BENCHMARK = "results/logs/{rule}/{job}.log", "results/benchmarks/{rule}/{job}.tsv"
LOGS, BENCHMARKS = RESULTS / "logs", RESULTS / "benchmarks"

GROWING = ("corpora", "lms", "activations", "pairs", "embeddings", "simulations", "models")
"""folders that only grow"""
REBUILT = ("selection", "parts", "cards", "samples", "diagnosis", "vectors", "report")
"""folders whose files are made again whenever something is compared anew"""
IN_GIT = ("tables", "figures", "metrics.json", "run.json", "provenance.jsonl")
NOT_OUTPUTS = ("logs", "benchmarks")
"""folders whose files nothing depends on"""

AT = "@"
"""between a language model's name and its layer, in the paths of every layer but the main one"""


def at_layer(lm: str, layer: str) -> str:
    """What stands for a further layer of a language model where `{lm}` stands in a path."""
    return f"{lm}{AT}{layer}"


def lm_of(name: str) -> str:
    """The language model that `{lm}` of a path means: of `lm@layer`, `lm`."""
    return name.partition(AT)[0]


def parsed(pattern: str, path: str | Path) -> dict[str, str]:
    """The values of a pattern's wildcards in a path that was written with it, in whichever folder `results/` lies.

    Raises:
        ShiftScopeError: the path is not of this pattern.
    """
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    found = re.fullmatch(f"(?:.*/)?{expression}", Path(path).as_posix())
    if not found:
        raise ShiftScopeError(f"{path} is not a path of the form {pattern}")
    return found.groupdict()


def entry_file(name: str, ending: str) -> str:
    """A file of an entry of the catalogue: `table_a6`, `md`."""
    pattern = TABLE if name.startswith("table_") else FIGURE
    return f"{pattern.format(table=name, figure=name)}.{ending}"


def log_of(rule: str, job: str) -> str:
    """The log of a rule's job; `job` has the rule's wildcards."""
    return LOG.replace("{rule}", rule).replace("{job}", job)


def benchmark_of(rule: str, job: str) -> str:
    """Where Snakemake writes what a rule's job took."""
    return BENCHMARK.replace("{rule}", rule).replace("{job}", job)


def parts_of_job(path: Path, folder: Path) -> tuple[str, ...]:
    """What a rule's wildcards have in the job whose log or benchmark a file below `folder` is."""
    return path.relative_to(folder).with_suffix("").parts[1:]


def job_of_log(path: Path, logs: Path) -> dict[str, str]:
    """The rule, language model and dataset of the job whose log a file below `logs` is; "" where it has none."""
    rule, *place = path.relative_to(logs).with_suffix("").parts
    if rule in ("make_pairs", "make_synthetic", "make_simulation"):
        return {"rule": rule, "lm": "" if rule == "make_pairs" else SYNTHETIC, "dataset": place[0]}
    lm, dataset = (*place[:2], "")[:2] if len(place) > 1 else ("", "")
    return {"rule": rule, "lm": lm, "dataset": dataset}


def rule_of_benchmark(path: Path, benchmarks: Path) -> str:
    """The rule whose job a file below `benchmarks` is about."""
    return path.relative_to(benchmarks).with_suffix("").parts[0]
