"""The report: what is on the page, and how it behaves in a real browser."""

import json
import os
import re
import subprocess
import sys

import pytest
from helpers.browser import Browser, program
from helpers.clone import ROOT
from helpers.fake_metrics import LANGUAGE, language_rows, row, synthetic_rows, write_benchmark, write_vectors
from helpers.programs import lacking

from shiftscope.errors import ShiftScopeError
from shiftscope.evaluation.parts import read_parts, write_part
from shiftscope.report.page import TEMPLATES, render, two_sentences
from shiftscope.report.run_facts import run_facts
from shiftscope.tables.base import entry
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.wide import sheet, write_table

NAMES = ("table_a6", "table_a2", "figure_a2")
CONFIG = {
    "lms": {"smollm2_135m": {"kind": "wheel"}},
    "synthetic": {"synth_3_2": {}},
    "note": "</pre><script>alert(1)</script>",
}


@pytest.fixture(scope="session")
def made(once):
    """Everything a report is made of, and the report by the real script."""
    folder = once("report", make)
    tables = [folder / f"{name.split('_')[0]}s" / f"{name}.parquet" for name in NAMES]
    frames = {name: entry(name).build(read_parts([folder / f"{entry(name).PARTS}.parquet"])) for name in NAMES}
    return {"folder": folder, "page": folder / "report" / "index.html", "frames": frames, "tables": tables,
            "figure": folder / "figures" / "figure_a2.svg"}  # fmt: skip


def make(folder):
    tables = []
    for kind, rows in (("synthetic", synthetic_rows()), ("language", language_rows())):
        write_part(folder / f"{kind}.parquet", rows)
    for name in NAMES:
        module, place = entry(name), folder / f"{name.split('_')[0]}s"
        frame = module.build(read_parts([folder / f"{module.PARTS}.parquet"]))
        tables.append(place / f"{name}.parquet")
        write_table(frame, module, tables[-1], place / f"{name}.csv", place / f"{name}.md")
    figure = folder / "figures" / "figure_a2.svg"
    write_figure(module, frame, figure)
    vectors = write_vectors(folder / "results/vectors")
    write_benchmark(folder / "benchmarks" / "train" / "a.tsv")
    write_benchmark(folder / "benchmarks" / "train" / "b.tsv", s="20.0", max_rss="700")
    write_benchmark(folder / "benchmarks" / "fetch_lm.tsv", max_rss="NA")
    for place, message in (
        ("train/synthetic/synth_3_2/codes_3/ica/seeds_0", "<b>slow</b>"),
        ("train/synthetic/gone/codes_3/ica/seeds_0", "of an earlier config"),
    ):
        log = folder / "logs" / f"{place}.log"
        log.parent.mkdir(parents=True)
        log.write_text(f"2026-01-01 00:00:00,000 WARNING shiftscope.x: {message}\n")
    page = folder / "report" / "index.html"
    command = [sys.executable, ROOT / "scripts" / "make_report.py", "--tables", *tables, "--figures", figure]
    command += ["--vectors", *vectors, "--params", json.dumps({"config": CONFIG}), "--report", page]
    command += ["--run", folder / "run.json", "--benchmarks", folder / "benchmarks", "--logs", folder / "logs"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def browser():
    if program() is None:
        lacking("there is no Chromium here (Debian package chromium)")
    with Browser() as opened:
        yield opened


# --- without a browser


def test_run_json_tells_versions_and_hardware_but_not_the_machine(made):
    facts = json.loads((made["folder"] / "run.json").read_text())
    assert facts["versions"]["Python"] == sys.version.split()[0]
    assert facts["versions"]["shiftscope"] != ""
    assert int(facts["hardware"]["cores"]) >= 1
    assert os.uname().nodename not in json.dumps(facts["hardware"])


def test_the_two_sentences_come_from_the_tables(made):
    first, second = two_sentences(made["frames"])
    a6 = made["frames"]["table_a6"]
    best = a6[(a6["variant"] == "ssae") & (a6["metric"] == "mcc_truth")]["mean"]
    assert first.startswith("On synthetic data, where the truth is known, ssae recovers the concepts (MCC")
    assert f"{best.min():.3f}".lstrip("0") in first
    assert second.startswith("On smollm2_135m, ssae finds the same directions from every seed, whether")
    assert "unsteered" in second
    assert two_sentences({}) == (
        "No synthetic data, where the truth is known, were run.",
        "On language models, no SSAE was compared with its twin without sparsity.",
    )


def test_a_failure_is_said_at_the_top(made, tmp_path):
    rows = [found | {"value": found["value"] * (1 if found["control"] else 0.7)} for found in synthetic_rows()]
    write_part(tmp_path / "part.parquet", rows)
    table = entry("table_a6").build(read_parts([tmp_path / "part.parquet"]))
    assert "ssae does not reliably recover the concepts" in two_sentences({"table_a6": table})[0]
    assert entry("table_a6").verdict(table)[0] == "not reproduced"


def test_page_refers_to_nothing_outside_and_escapes_the_config(made):
    text = made["page"].read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses
    assert "<script>alert" not in text
    assert "&lt;/pre&gt;&lt;script&gt;" in text
    assert all(path.read_text(encoding="utf-8").strip() for path in TEMPLATES)


def test_warnings_stand_beside_their_dataset_and_those_of_other_configs_do_not(made):
    text = made["page"].read_text(encoding="utf-8")
    beside = '<small>3 codes, 12 models</small> <a class="warned" href="#warnings">1 warning</a>'
    assert re.sub(r"\d+ models", "12 models", text).count(beside) == 1  # the tables show this dataset once
    assert "<code>ica</code>" not in text and "<code>train</code> &lt;b&gt;slow&lt;/b&gt;" in text
    assert "of an earlier config" not in text
    assert json.loads((made["folder"] / "run.json").read_text())["warnings"][0]["messages"]


def test_figure_without_its_numbers_is_an_error(made):
    with pytest.raises(ShiftScopeError, match="figure figure_a2 came without its Parquet file"):
        render(made["tables"][:2], [made["figure"]], [], {}, run_facts(made["folder"], made["folder"]), made["page"])


def test_page_without_any_result_says_so(tmp_path):
    write_part(tmp_path / "part.parquet", [row("own", "ssae", "l0", 2.0, 4, seed=0)])
    tables = []
    for name in NAMES:
        module, path = entry(name), tmp_path / f"{name}.parquet"
        write_table(module.build(read_parts([tmp_path / "part.parquet"])), module, path, *(tmp_path / x for x in "cm"))
        tables.append(path)
    text = render(tables, [], [], {}, run_facts(tmp_path / "absent", tmp_path / "absent"), tmp_path / "index.html")
    assert text.count("Not tested</strong>") == 3
    assert text.count("No dataset has what this table shows") == 3
    assert "No vectors were exported" in text
    assert "No benchmark files were found" in text


# --- in Chromium

CONTRAST = """(selectors => {
  const light = text => { const c = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126*c[0] + .7152*c[1] + .0722*c[2]; };
  const page = light(getComputedStyle(document.body).backgroundColor);
  return selectors.map(selector => { const own = light(getComputedStyle(document.querySelector(selector)).color);
      return (Math.max(own, page) + .05) / (Math.min(own, page) + .05); });
})(%s)"""


@pytest.mark.program
def test_page_holds_everything_and_asks_for_nothing(made, browser):
    browser.requests.clear()
    browser.open(made["page"])
    assert set(browser.requests) == {made["page"].resolve().as_uri()}
    assert browser.errors == []
    sentences = browser.run("[...document.querySelectorAll('#findings .sentence')].map(s => s.textContent)")
    assert sentences == [text.replace("'", "’") for text in two_sentences(made["frames"])]
    assert browser.run("document.querySelectorAll('h1').length") == 1
    assert browser.run("document.querySelectorAll('.claim').length") == len(NAMES)
    for name in NAMES:
        rows = len(sheet(made["frames"][name], entry(name).METRICS[0]).rows)
        found = f"document.querySelectorAll('#{name}-numbers tbody tr:not(.group)').length"
        assert browser.run(found) == rows
        status = entry(name).verdict(made["frames"][name])[0]
        assert browser.run(f"document.querySelector('.claim:has([href=\"#{name}\"]) .status').textContent") == (
            status.capitalize()
        )
    assert browser.run("document.querySelectorAll('figure svg.shiftscope-figure').length") == 1
    assert browser.run("document.querySelectorAll('dl.vectors dt').length") == len(LANGUAGE)
    assert 'vectors["concept_0"]' in browser.run("document.querySelector('#vectors ~ pre').textContent")
    run = browser.run("document.querySelector('section:has(> #run)').textContent")
    assert all(word in run for word in ("torch", "cores", "train", "32.5", "smollm2_135m"))


@pytest.mark.program
def test_links_lead_to_the_files(made, browser):
    browser.open(made["page"])
    links = browser.run("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
    for link in links:
        if link.startswith("#"):
            assert browser.run(f"document.querySelector({json.dumps(link)}) !== null"), link
        else:
            assert (made["page"].parent / link).is_file(), link
    assert sum(link.endswith(".csv") for link in links) == len(NAMES)


@pytest.mark.program
def test_controls_are_grey_and_beside_their_scores(made, browser):
    browser.open(made["page"])
    colours = browser.run(
        "['td.control', 'td.mean'].map(s => getComputedStyle(document.querySelector('#table_a2 ' + s)).color)"
    )
    assert colours == ["rgb(110, 108, 102)", "rgb(29, 29, 27)"]


@pytest.mark.program
def test_tables_sort_within_each_dataset_by_click_and_by_key(made, browser):
    browser.open(made["page"])
    table = "document.querySelector('#table_a6-numbers')"
    means = f"[...{table}.tBodies].map(b => [...b.querySelectorAll('td.mean:not(td.mean ~ td.mean)')].map(c => +c.dataset.sort))"
    heading = f"{table}.querySelector('th.mean')"
    before = browser.run(means)
    assert len(before) == 3
    assert before != [sorted(group) for group in before]
    browser.run(f"{heading}.querySelector('button').click()")
    assert browser.run(f"{heading}.ariaSort") == "descending"
    assert browser.run(means) == [sorted(group, reverse=True) for group in before]
    browser.run(f"{heading}.querySelector('button').focus()")
    browser.press("Enter", 13)
    assert browser.run(f"{heading}.ariaSort") == "ascending"
    assert browser.run(means) == [sorted(group) for group in before]
    assert browser.run(f"getComputedStyle({heading}.querySelector('button')).outlineStyle") == "solid"
    browser.run(f"{table}.querySelector('th.variant button').click()")
    variants = browser.run(f"[...{table}.tBodies[0].querySelectorAll('th.variant')].map(c => c.textContent)")
    assert variants == sorted(variants)
    assert browser.run(f"{table}.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


@pytest.mark.program
def test_numbers_that_do_not_exist_stay_last(made, browser):
    browser.open(made["page"])
    body = "document.querySelector('#table_a2-numbers').tBodies[4]"
    for _ in range(2):
        browser.run("document.querySelector('#table_a2-numbers th.difference button').click()")
        found = browser.run(f"[...{body}.querySelectorAll('td.difference')].map(c => c.dataset.sort ?? null)")
        assert [value is None for value in found] == [False] * 3 + [True] * 2


@pytest.mark.program
def test_intervals_are_shown_on_demand(made, browser):
    browser.open(made["page"])
    shown = "getComputedStyle(document.querySelector('#table_a6 .interval')).display"
    assert browser.run(shown) == "none"
    browser.run("document.querySelector('#intervals').click()")
    assert browser.run(shown) == "block"


@pytest.mark.program
def test_a_phone_scrolls_tables_in_their_box_and_not_the_page(made, browser):
    browser.open(made["page"], width=360, height=740)
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == 360
    assert browser.run("document.querySelector('#table_a2 .scroll').scrollWidth") > 360
    beyond = "[...document.querySelectorAll('p, h1, h2, h3, dd, li')].filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > 360).length"
    assert browser.run(beyond) == 0
    assert browser.errors == []


@pytest.mark.program
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_can_be_read(made, browser, scheme):
    browser.open(made["page"], scheme=scheme)
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 254, 250)", "dark": "rgb(22, 23, 26)"}[scheme]
    selectors = ["body", "a", "td.control", ".evidence", ".note", "figure svg text"]
    contrasts = browser.run(CONTRAST % json.dumps([*selectors, *(f".mark-{place}" for place in marks(browser))]))
    assert min(contrasts) >= 4.5


def marks(browser):
    """The statuses that this page shows."""
    return browser.run("[...document.querySelectorAll('.status')].map(s => s.className.match(/mark-(\\d)/)[1])")


@pytest.mark.program
def test_print_hides_what_only_a_screen_can_use(made, browser):
    browser.open(made["page"])
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('#table_a6 .scroll')).overflowX") == "visible"
    browser.call("Emulation.setEmulatedMedia", media="")
