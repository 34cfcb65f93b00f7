"""Every rule says what it is: named inputs and outputs, log, benchmark, threads, memory, a message; names for a profile."""

import json
import re
import shutil

import pytest
from helpers import warm
from helpers.clone import ENVIRONMENT, ROOT

PROGRAM = """
import json, logging
from pathlib import Path
logging.disable(logging.CRITICAL)
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

def unnamed(files):
    covered = {number for name, (first, last) in files._get_names() for number in range(first, last or first + 1)}
    return [str(file) for number, file in enumerate(files) if number not in covered]

with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
    config = ConfigSettings(configfiles=[Path("config/full.yaml"), Path("several.yaml")])
    workflow = api.workflow(ResourceSettings(cores=1), config, snakefile=Path("Snakefile"))
    workflow.dag(DAGSettings(targets=set())).execute_workflow("dryrun")
    print("RULES " + json.dumps([
        {"name": rule.name, "inputs": unnamed(rule.input), "outputs": unnamed(rule.output), "log": bool(rule.log),
         "benchmark": bool(rule.benchmark), "message": bool(rule.message), "shell": bool(rule.shellcmd),
         "threads": rule.resources.get("_cores") is not None, "memory": "mem_mb" in rule.resources,
         "params": [str(one) for one in unnamed(rule.params)]}
        for rule in workflow._workflow.rules
    ]))
"""


@pytest.fixture(scope="module")
def rules(once, clone):
    def make(folder):
        shutil.copytree(clone, folder)
        (folder / "several.yaml").write_text("seeds: ['0']\n")
        done = warm.run(["python", "-c", PROGRAM], folder, ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "rules.json").write_text(re.search(r"^RULES (.*)$", done.stdout, re.MULTILINE)[1])

    return {rule["name"]: rule for rule in json.loads((once("rules", make) / "rules.json").read_text())}


@pytest.mark.workflow
def test_every_input_output_and_param_has_a_name(rules):
    assert {name: rule["inputs"] + rule["outputs"] + rule["params"] for name, rule in rules.items()
            if rule["inputs"] or rule["outputs"] or rule["params"]} == {}  # fmt: skip


@pytest.mark.workflow
def test_every_job_has_log_benchmark_threads_memory_and_message(rules):
    jobs = {name: rule for name, rule in rules.items() if rule["shell"]}
    assert len(jobs) > 20
    for name, rule in jobs.items():
        assert all(rule[key] for key in ("log", "benchmark", "threads", "memory", "message")), name


@pytest.mark.workflow
def test_rules_have_names_for_a_profile(rules):
    """Those that are there once for a language model or dataset are called after it, and no number says which."""
    assert all(re.fullmatch(r"\w+", name) for name in rules)
    assert "embed_pairs_smollm2_135m" in rules and "export_vectors_smollm2_135m_lang_1_1" in rules
    assert not [name for name in rules if re.fullmatch(r"(embed|export)\w*_layers_\d+", name)]


def test_the_script_of_a_rule_is_called_as_the_rule():
    for file in (ROOT / "rules").glob("*.smk"):
        text = file.read_text(encoding="utf-8")
        for rule, script in re.findall(
            r"^\s*rule (\w+):.*?modules_of\(\s*\"(\w+)\.py\"", text, re.MULTILINE | re.DOTALL
        ):
            assert rule == script
