# What every rule shares: the checked config, the code of a script, and which files belong to what.

import os
import re
import shlex
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
os.environ["TQDM_DISABLE"] = "1"  # a job's bars would write over the line that says how far the run is
# scripts import the package of this clone, whichever clone the environment was installed from
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])

from shiftscope import kinds
from shiftscope.config.read import read_config
from shiftscope.config.sections import seeds_of
from shiftscope.downloads import FOLDER as DOWNLOADS
from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.files import canonical_json, read_json
from shiftscope.report.latents import LATENT_TEMPLATES
from shiftscope.report.page import TEMPLATES
from shiftscope.report.run_facts import warnings_in
from shiftscope.report.vectors import VECTOR_TEMPLATES
from shiftscope.tables import base as catalogue
from shiftscope.vocabulary import CHECKPOINT, MAPPED, RECOMMENDED, SYNTHETIC, TRAINED, UNTRAINED
from shiftscope.word_lists import word_files
from shiftscope.workflow import paths, provenance
from shiftscope.workflow.digests import pairs_digest, user_files_digest
from shiftscope.workflow.imports import code_of
from shiftscope.workflow.memory import caching_mb, lm_mb, steering_mb, training_mb
from shiftscope.workflow.paths import benchmark_of, entry_file, lm_of, log_of

# the interpreter that runs Snakemake runs the scripts too; formatted into commands, so it is no reason to rerun
PYTHON = shlex.quote(sys.executable)

# `--configfile X` replaces whole sections of config.yaml, `--config seeds=…` one; nothing is merged more deeply
try:
    STUDY = read_config(ROOT / "config.yaml", workflow.overwrite_configfiles, workflow.config_settings.config)
    DIGESTS = {
        name: pairs_digest(entry.params.user_files, f"pairs.{name}.path")
        for name, entry in STUDY.pairs.items()
        if entry.params.user_files
    }
    ORIGINS = {
        name: {
            "versions": entry.params.versions(),
            "files_sha256": user_files_digest(entry.params.user_path, f"corpora.{name}.path"),
        }
        for name, entry in STUDY.corpora.items()
    }
except ShiftScopeError as error:
    raise WorkflowError(str(error)) from None

# never inside a job, so never on a cluster's node
if workflow.is_main_process:
    try:
        provenance.restore()
    except ShiftScopeError as error:
        raise WorkflowError(str(error)) from None


wildcard_constraints:
    lm=r"[\w.@-]+",
    dataset=r"[A-Za-z0-9][\w.-]*",
    variant=r"[\w.-]+",
    codes=r"\d+",
    block=r"\d+(-\d+)?",
    table=r"table_\w+",
    figure=r"figure_\w+",


READ = [lm for lm in STUDY.lms if STUDY.lms[lm].kind != MAPPED]  # the others' embeddings are made from theirs


def one_of(names):
    """A wildcard's regular expression: one of the names, whole, or nothing.

    Snakemake takes a value whose beginning matches for a match, so the expression says what must follow.
    """
    return f"(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?=/|[.](?:log|tsv|parquet|json)$|$)"


def rule_name(rule, *names):
    """The name of a rule that is there once for some names of the config, as a profile or `--set-resources` can have it."""
    name = "_".join([rule, *(re.sub(r"\W", "_", one) for one in names)])
    alike = sum(used == name or used.startswith(f"{name}__") for used in RULE_NAMES)  # a-b and a.b
    RULE_NAMES.append(f"{name}__{alike + 1}" if alike else name)
    return RULE_NAMES[-1]


RULE_NAMES = []


def filled(names, w):
    """Names of which one may be a wildcard, such as `{variant}`, with its value."""
    return [name.format(**dict(w.items())) for name in names]


def sharing(alone, shared):
    """The name of a rule whose jobs do the work of several of another's: it goes before that one."""
    workflow.ruleorder(shared, alone)
    return shared


def modules_of(script, *named):
    """The script first, then every project file that it or a module imported by name loads: inputs of its rule."""
    files = code_of(ROOT / "scripts" / script, list(named), ROOT / "src")
    return [str(file.relative_to(ROOT)) for file in files]


def json_of(**slice):
    """The slice of the config that a job depends on, as canonical JSON: a change elsewhere leaves the job alone."""
    return canonical_json(slice)


def words_of(entry):
    """The word lists that an entry of `pairs` or `corpora` reads."""
    return [str(file.relative_to(ROOT)) for file in word_files(entry.params.word_lists)]


def models_of(lm, dataset, codes, variant, pattern):
    """Files of all seed blocks of a variant, by the pattern of weights or sidecars."""
    blocks = STUDY.blocks_of(variant, dataset)
    return expand(pattern, lm=lm, dataset=dataset, codes=codes, variant=variant, block=blocks)


def trained_on(lm, dataset, pattern):
    """Files of everything that is trained on one dataset and LM, by the pattern of weights or sidecars."""
    return [
        file
        for codes in STUDY.codes(lm, dataset)
        for variant in STUDY.variants_on(lm, dataset, codes)
        for file in models_of(lm, dataset, codes, variant, pattern)
    ]


def main_models(lm, dataset, variants, pattern):
    """Files of some variants at the first code size: a dataset's own |V| unless its config says otherwise.

    Where the number of codes is chosen, at all among which it is.
    """
    return [
        file
        for codes in STUDY.exported_sizes(lm, dataset)
        for variant in variants
        if variant in STUDY.variants_on(lm, dataset, codes)
        for file in models_of(lm, dataset, codes, variant, pattern)
    ]


def memory_for(w, input):
    """1.5 GB for Python, PyTorch and replicas, and two and a half times the embeddings: both texts' and the shifts."""
    return 1500 + 5 * int(input.size_mb) // 2


def classes_of(variants):
    """The modules of the classes of some variants."""
    return [kinds.module_of("variants", kind) for kind in sorted({STUDY.variants[name].kind for name in variants})]


def parts_of(kind):
    """Metric parts of one kind, a key of `catalogue.NEEDS`; those of language models come with their untrained twins."""
    pattern = paths.IDENTITY if kind == "words" else paths.PART
    parts = [pattern.format(lm=lm, dataset=dataset) for lm, dataset in places_of(kind)]
    if kind == "transfer":
        parts += [paths.TRANSFER.format(lm=lm) for lm in STUDY.lms if STUDY.transfers(lm)]
    if kind == "posterior":
        parts += [paths.POSTERIOR.format(lm=lm) for lm in STUDY.posterior]
    if kind == "causal":
        parts += [paths.CAUSAL.format(lm=lm) for lm in STUDY.causal]
    asked = STUDY.asked() if kind == "behaviour" else []
    return parts + [paths.BEHAVIOUR.format(lm=lm, dataset=dataset) for lm, dataset in asked]


def places_of(kind):
    """Every (lm, dataset) of which there are metric parts of one kind, a key of `catalogue.NEEDS`."""
    if kind == "transfer":
        moved = ((lm, dataset) for lm in STUDY.lms for both in STUDY.transfers(lm) for dataset in both)
        return list(dict.fromkeys(moved))
    places = STUDY.needed_by("language" if kind == "behaviour" else kind)
    return [place for place in places if kind != "behaviour" or place[1] in STUDY.behaviour]


def vectors_wanted(pattern):
    """Steering vectors (or what describes them) of everything that is exported."""
    return [
        pattern.format(lm=lm, dataset=dataset, variant=variant)
        for lm, dataset in STUDY.exported()
        for variant in STUDY.exports_of(lm, dataset)
    ]


def vectors_page():
    """The page of steering vectors, if a dataset is there for its vectors."""
    return [paths.VECTORS_PAGE] if STUDY.for_vectors() else []


def cards_of_vectors(pattern):
    """What describes the vectors of every dataset that is there for them, by a pattern of paths."""
    return [pattern.format(lm=lm, dataset=dataset) for lm, dataset in STUDY.for_vectors()]


def latents_page():
    """The page of latents, if any latent has a card."""
    return [paths.LATENTS] if STUDY.described() else []


def failures(snakemake_logs):
    """The log of every job that failed and the last error in it: what went wrong, without Snakemake's details."""
    text = "\n".join(Path(file).read_text(encoding="utf-8", errors="replace") for file in snakemake_logs)
    for log in dict.fromkeys(re.findall(r"^ +log: (\S+) \(check log", text, re.MULTILINE)):
        path = Path(log)
        fresh = path.is_file() and path.stat().st_mtime >= STARTED
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if fresh else []
        errors = [line.split(": ", 1)[-1] for line in lines if " ERROR " in line]
        yield f"{log}: {(errors or ['no message; unless there is one above, it was killed (out of memory?)'])[-1]}"


def warnings():
    """What the jobs of this run warned of: the first of each job, and how many more its log has."""
    for path in sorted(paths.LOGS.rglob("*.log")):
        if path.stat().st_mtime >= STARTED:
            messages = warnings_in(path)
            more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
            yield from (f"{path}: {message}{more}" for message in messages[:1])
            if path.parts[len(paths.LOGS.parts)] in ("make_pairs", "diagnose_pairs"):  # what users can mend
                yield from (f"{path}: {message}" for message in messages[1:])


STARTED = time.time()


def without_job():
    """What jobs read of `results/` though no job makes it: of a branch that cannot be built Snakemake takes what lies there.

    So a wanted table would be that of an earlier run.
    """
    for job in workflow.dag.jobs:
        made = {str(file) for files in workflow.dag.dependencies[job].values() for file in files}
        files = {str(file) for file in job.input} - made
        yield from sorted(file for file in files if Path(file).is_relative_to(paths.RESULTS))


onstart:
    lost = list(without_job())
    if lost:
        raise WorkflowError(
            f"no rule makes {lost[0]}, so what lies there is of an earlier run: delete it, and run again to see what it needs"
        )
    # With a rate limit Snakemake arms one more timer per finished job, each looking for ready jobs until the run ends:
    # a third of a core in the default run. One machine needs no limit.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def remember():
    """Bring what was made into the ledger; a run that computed everything has not failed if only that fails."""
    try:
        provenance.record()
    except ShiftScopeError as error:
        say(f"provenance: {error}")


def say(*lines):
    """Lines on the terminal, over the live line that may stand there."""
    if not lines:
        return
    print(("\r\033[K" if sys.stderr.isatty() else "") + "\n".join(lines), file=sys.stderr)


def splits():
    """Of every dataset that is there for its vectors, how many rows were used and how many held out."""
    for dataset in dict.fromkeys(dataset for _, dataset in STUDY.for_vectors()):
        manifest = Path(paths.PAIRS_MANIFEST.format(dataset=dataset))
        if manifest.exists():
            facts = read_json(manifest)
            train, test = (facts["counts"][split] for split in ("train", "test"))
            yield (
                f"{dataset}: {train} pairs to learn from, {test} held out ({test / (train + test):.0%} of the rows; the largest group"
                f" has {facts['largest_group']}); {facts['rejected']} of {facts['rows']} rows left out"
            )


def doubts():
    """What speaks against vectors, as their cards have it."""
    for card in map(Path, cards_of_vectors(paths.VECTORS_CARD)):
        if card.exists():
            yield from (f"{card.parent}: {sentence}" for sentence in read_json(card)["caveats"])


def tell():
    """Say again, where the run ends, what it warned of, and what was held out: on the way it went by."""
    found = list(warnings())
    if found:
        say("Warnings:", *found)
    say(*splits(), *doubts())


onsuccess:
    remember()
    tell()


onerror:
    remember()
    tell()
    say("What failed:", *failures(log))
