"""The catalogue: what is found by name, what an entry must offer, and what all entries do."""

import re
import subprocess
import sys
from types import ModuleType

import pytest
from helpers.clone import ROOT
from helpers.fake_metrics import row
from helpers.tables import built, written

from shiftscope.errors import ShiftScopeError
from shiftscope.metrics.base import label
from shiftscope.tables import base
from shiftscope.tables.base import NEEDS, entry, names


def test_catalogue_is_found_by_file_name_and_complete():
    assert {"table_a2", "table_a6", "figure_a2"} <= set(names())
    for name in names():
        module = entry(name)
        assert module.PARTS in NEEDS
        assert set(module.PUBLISHED) <= {metric.name for metric in module.METRICS}
        assert all(
            isinstance(text, str) and text
            for text in (module.TITLE, module.CLAIM, module.SAID_BY, module.SOURCE, module.EMPTY, module.__doc__)
        )
        assert hasattr(module, "draw") == name.startswith("figure_")


def test_unknown_entry_names_the_nearest():
    with pytest.raises(ShiftScopeError, match=r"table or figure 'table_a22' is unknown.*did you mean 'table_a2'\?"):
        entry("table_a22")


def test_catalogue_is_light_while_the_snakefile_is_parsed():
    code = (
        "import sys; from shiftscope.tables.base import NEEDS, entry, names; [entry(name) for name in names()]; "
        # numpy, with which formulas are written, is loaded by Snakemake itself
        "heavy = {'pandas', 'pyarrow', 'scipy', 'matplotlib', 'torch'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def changed(*changes, entry="table_t2"):
    """The module of a made-up entry: that of another, with texts of its source changed."""
    source = (ROOT / f"src/shiftscope/tables/{entry}.py").read_text()
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    module = ModuleType(f"shiftscope.tables.{entry.split('_')[0]}_mine")
    exec(source, vars(module))
    return module


def refusal(module, monkeypatch):
    """What is said of a module when it is loaded as an entry."""
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(base, "names", lambda: [name])
    with pytest.raises(ShiftScopeError) as error:
        entry(name)
    return str(error.value)


@pytest.mark.parametrize("name", ["table_t2", "figure_pairs"])
def test_an_entry_that_offers_what_it_must_is_taken(name, monkeypatch):
    module = changed(entry=name)
    mine = module.__name__.rpartition(".")[2]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(base, "names", lambda: [mine])
    assert entry(mine) is module


@pytest.mark.parametrize(
    "member",
    ["TITLE", "CLAIM", "SAID_BY", "PARTS", "METRICS", "PUBLISHED", "SOURCE", "EMPTY", "build", "verdict", "finding"],
)
def test_an_entry_without_a_member_is_refused(member, monkeypatch):
    module = changed()
    delattr(module, member)
    assert refusal(module, monkeypatch) == f"shiftscope.tables.table_mine lacks {member}, which a table must have"


@pytest.mark.parametrize("member", ["CAPTION", "draw"])
def test_a_figure_is_asked_for_what_only_figures_have(member, monkeypatch):
    module = changed(entry="figure_pairs")
    delattr(module, member)
    assert refusal(module, monkeypatch) == f"shiftscope.tables.figure_mine lacks {member}, which a figure must have"


@pytest.mark.parametrize(
    ("change", "written", "meant"),
    [
        (("CLAIM = ", "CLAIMS = "), "CLAIMS", "CLAIM"),
        (("def finding(", "def findings("), "findings", "finding"),
        (("CLAIM = ", "CAPTON = CLAIM = "), "CAPTON", "CAPTION"),  # a table may do without one
        (("def finding(", "def drawn(table):\n    return None\n\n\ndef finding("), "drawn", "draw"),
    ],
)
def test_a_misspelt_member_is_refused(change, written, meant, monkeypatch):
    said = refusal(changed(change), monkeypatch)
    assert said.startswith(f"shiftscope.tables.table_mine: the member '{written}' is unknown: allowed are ")
    assert said.endswith(f"; did you mean '{meant}'?")


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("TITLE", "", "TITLE must be a text"),
        ("PARTS", "langauge", "PARTS must be one of synthetic, crowded, language, "),
        ("METRICS", ("mcc_truth",), "METRICS must be a tuple of metrics"),
        ("METRICS", (), "METRICS must be a tuple of metrics"),
        ("PUBLISHED", None, "PUBLISHED must be a dictionary"),
        ("PUBLISHED", {"mcc_true": {}}, "the metric 'mcc_true' of PUBLISHED is unknown: .*did you mean 'mcc_truth'"),
        ("build", "no function", "build must be a function"),
    ],
)
def test_a_member_of_another_type_is_refused(member, value, said, monkeypatch):
    module = changed()
    setattr(module, member, value)
    assert re.match(f"shiftscope.tables.table_mine: {said}", refusal(module, monkeypatch))


def test_every_metric_that_is_shown_has_a_label_and_a_meaning():
    for name in names():
        for metric in entry(name).METRICS:
            assert metric.label and metric.meaning.endswith(".")
            assert label(metric.name) == metric.label
    assert label("mcc_truth_onehot") == "MCC, truth (onehot)"


@pytest.mark.parametrize("name", [name for name in names() if name not in ("table_a6s", "figure_a5", "figure_pairs")])
def test_datasets_without_the_metrics_give_an_honest_empty_table(tmp_path, caplog, name):
    table = built(name, [row("own", "ssae", "l0", 2.0, 4, seed=0)], tmp_path)
    module = entry(name)
    assert len(table) == 0
    assert "no selected row of" in caplog.text
    assert (module.verdict(table), module.finding(table)) == ([], "")
    text, drawn = written(name, table, tmp_path)
    assert "**Not tested.**" in text and module.EMPTY in text
    if name.startswith("figure_"):
        assert module.EMPTY in drawn


@pytest.mark.parametrize("name", ["figure_a5", "table_a6s", "figure_a9", "table_a3"])
def test_without_what_they_look_for_the_tables_are_empty_and_say_so(tmp_path, name):
    rows = [row("own", "ssae", metric, 0.5, 4, seed=0) for metric in ("mcc_truth", "l0")]
    table = built(name, rows, tmp_path)
    assert len(table) == 0
    assert (entry(name).verdict(table), entry(name).finding(table)) == ([], "")
    text, drawn = written(name, table, tmp_path)
    assert "Not tested" in text and entry(name).EMPTY in text
    assert not drawn or entry(name).EMPTY in drawn
