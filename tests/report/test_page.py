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
from shiftscope.files import read_parquet
from shiftscope.report.page import MARKS, TEMPLATES, columns_of, matrix_of, render, top_sentences
from shiftscope.report.run_facts import run_facts
from shiftscope.report.view import shown
from shiftscope.tables import verdicts
from shiftscope.tables.base import entry, names
from shiftscope.tables.drawing import svg_text, write_figure
from shiftscope.tables.wide import sheet, write_table

NAMES = ("table_a6", "table_a2", "figure_a2")
CONFIG = {
    "lms": {"smollm2_135m": {"kind": "wheel"}},
    "synthetic": {"synth_3_2": {}},
    "variants": {"ica": {}},
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
    write_benchmark(folder / "benchmarks/train/synthetic/synth_3_2/codes_3/ica/seeds_0.tsv")
    write_benchmark(folder / "benchmarks/train/synthetic/synth_3_2/codes_3/ica/seeds_1.tsv", s="20.0", max_rss="700")
    write_benchmark(folder / "benchmarks/train/synthetic/gone/codes_3/ica/seeds_1.tsv", s="70.0")
    write_benchmark(folder / "benchmarks/fetch_lm/smollm2_135m.tsv", max_rss="NA")
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


def test_the_sentences_on_top_come_from_the_tables(made):
    sentences = top_sentences(made["frames"])
    assert sentences == [
        "On synthetic data, our recipe recovers the concepts; the paper's does not.",
        "Our recipe finds the same directions from every seed on smollm2_135m only without its control; the paper's does not "
        "on smollm2_135m.",
        "Our recipe steers held-out pairs closer to the target than no sparsity and PCA on smollm2_135m.",
    ]


def test_the_top_has_three_short_sentences_without_numbers_of_what_was_run_alone(made, tmp_path):
    many = {name: made["frames"]["table_a2"] for name in ("table_g1", "figure_layers")} | made["frames"]
    assert len(top_sentences(many)) == 3
    for sentence in top_sentences(many):
        assert len(sentence) < 160 and "(" not in sentence and not re.search(r"\.\d", sentence)
    own = {"table_a2": made["frames"]["table_a2"]}
    assert len(top_sentences(own)) == 1 and "synthetic" not in top_sentences(own)[0]
    assert top_sentences({}) == ["No sparse shift autoencoder was compared with its twin without sparsity."]


def test_a_failure_is_said_at_the_top(made, tmp_path):
    rows = [found | {"value": found["value"] * (1 if found["control"] else 0.7)} for found in synthetic_rows()]
    write_part(tmp_path / "part.parquet", rows)
    table = entry("table_a6").build(read_parts([tmp_path / "part.parquet"]))
    assert top_sentences({"table_a6": table}) == [
        "On synthetic data, our recipe does not recover the concepts; the paper's does not."
    ]
    assert {one.status for one in entry("table_a6").verdict(table)} == {"not reproduced", "does not hold"}


def matrix(frames, name):
    """The statuses of a claim, by recipe, in the order of the columns."""
    section = shown(entry(name), name, frames[name], [], "")
    return {line.recipe: line.statuses for line in matrix_of(section, frames)}


def test_the_matrix_has_a_status_for_all_that_a_claim_speaks_of(made):
    frames = made["frames"]
    assert columns_of(frames) == ["smollm2_135m", "synthetic"]
    assert matrix(frames, "table_a6") == {"paper": ["", "not reproduced"], "ours": ["", "holds"]}
    assert matrix(frames, "table_a2") == {"paper": ["not reproduced", ""], "ours": ["only without its control", ""]}
    assert matrix(frames, "figure_a2") == {"paper": ["not tested", ""], "ours": ["holds", ""]}
    other = frames | {"table_g1": frames["table_a2"].assign(lm="other")}
    assert matrix(other, "table_a2")["ours"][:2] == ["not tested", "only without its control"]
    words = {value for name, value in vars(verdicts).items() if name.isupper() and isinstance(value, str)}
    assert words - {verdicts.THIS_PROJECT, verdicts.SYNTHETIC, verdicts.RECOMMENDED} == set(MARKS)


def test_a_recipe_that_was_not_run_has_no_line(made):
    frames = {name: frame[frame["recipe"] != "paper"] for name, frame in made["frames"].items()}
    assert list(matrix(frames, "table_a2")) == ["ours"]
    neither = {"table_a2": made["frames"]["table_a2"].query("recipe == ''")}
    assert matrix(neither, "table_a2") == {"ours": ["not tested"]}


def test_a_report_of_own_pairs_speaks_of_what_was_run_alone(tmp_path):
    rows = [
        found | {"dataset": "own", "eval_dataset": "own"}
        for found in language_rows()
        if found["dataset"] == "cat_135_3"
    ]
    rows = [found for found in rows if found["variant"] in ("ssae", "affine", "pca")]
    write_part(tmp_path / "part.parquet", rows)
    module, path = entry("table_a2"), tmp_path / "table_a2.parquet"
    write_table(module.build(read_parts([tmp_path / "part.parquet"])), module, path, *(tmp_path / x for x in "cm"))
    write_benchmark(tmp_path / "benchmarks/train/smollm2_135m/own/codes_27/ssae/seeds_0.tsv")
    write_benchmark(tmp_path / "benchmarks/make_synthetic/synth_3_2.tsv")
    config = {"lms": {"smollm2_135m": {}}, "pairs": {"own": {}}, "variants": {"ssae": {}}}
    text = render([path], [], [], config, run_facts(tmp_path / "benchmarks", tmp_path, config), tmp_path / "index.html")
    body = text[text.index("<body>") :].replace("paper A, Sec. 3, Table 2", "")
    body = re.sub(r'<p class="claimed">.*?</p>|<script>.*</script>', "", body, flags=re.DOTALL)
    assert not re.search(r"\bpaper\b|ynthetic|Llama|make_synthetic|Published", body)
    assert "on smollm2_135m only" in top_sentences({"table_a2": read_parquet(path).to_pandas()})[0]


def test_a_dead_model_is_red(made):
    text = made["page"].read_text(encoding="utf-8")
    dead = re.findall(r'data-sort="(\w+)">\w+ <span class="dead" title="[^"]+">dead</span>', text)
    assert dead == ["ssae_paper"] * 3  # on every synthetic dataset, as its error is


@pytest.mark.parametrize("name", names())
def test_an_empty_entry_says_why(name, tmp_path):
    write_part(tmp_path / "part.parquet", [row("own", "ssae", "l0", 2.0, 4, seed=0)])
    module = entry(name)
    table = module.build(read_parts([tmp_path / "part.parquet"]))
    drawn = svg_text(module.draw(table), name, module.TITLE) if name.startswith("figure_") else ""
    section = shown(module, name, table, [], drawn)
    assert section.empty == module.EMPTY and section.groups == []
    assert not drawn or module.EMPTY in drawn


def test_page_refers_to_nothing_outside_and_escapes_the_config(made):
    text = made["page"].read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses
    assert "<script>alert" not in text
    assert "&lt;/pre&gt;&lt;script&gt;" in text
    assert all(path.read_text(encoding="utf-8").strip() for path in TEMPLATES)


def test_the_page_of_latents_is_linked_where_there_is_one(made, tmp_path):
    facts = run_facts(tmp_path, tmp_path, {})
    pages = {
        known: render(made["tables"], [made["figure"]], [], {}, facts, made["page"], known) for known in (False, True)
    }
    link = '<li><a href="latents.html">Latents</a></li>'
    assert pages[True].count(link) == 1 and link not in pages[False]


def test_warnings_stand_beside_their_dataset_and_those_of_other_configs_do_not(made):
    text = made["page"].read_text(encoding="utf-8")
    beside = '<small>3 codes, 12 models</small> <a class="warned" href="#warnings">1 warning</a>'
    assert re.sub(r"\d+ models", "12 models", text).count(beside) == 1  # the tables show this dataset once
    assert "<code>ica</code>" not in text and "<code>train</code> &lt;b&gt;slow&lt;/b&gt;" in text
    assert "of an earlier config" not in text
    assert json.loads((made["folder"] / "run.json").read_text())["warnings"][0]["messages"]


def test_figure_without_its_numbers_is_an_error(made):
    with pytest.raises(ShiftScopeError, match="figure figure_a2 came without its Parquet file"):
        render(
            made["tables"][:2], [made["figure"]], [], {}, run_facts(made["folder"], made["folder"], {}), made["page"]
        )


def test_page_without_any_result_says_so(tmp_path):
    write_part(tmp_path / "part.parquet", [row("own", "ssae", "l0", 2.0, 4, seed=0)])
    tables = []
    for name in NAMES:
        module, path = entry(name), tmp_path / f"{name}.parquet"
        write_table(module.build(read_parts([tmp_path / "part.parquet"])), module, path, *(tmp_path / x for x in "cm"))
        tables.append(path)
    facts = run_facts(tmp_path / "absent", tmp_path / "absent", {})
    text = render(tables, [], [], {}, facts, tmp_path / "index.html")
    assert text.count("Not tested</strong>") == 3
    assert all(text.count(entry(name).EMPTY) == 2 for name in NAMES)  # as evidence, and in place of the table
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
    assert sentences == [text.replace("'", "’") for text in top_sentences(made["frames"])]
    assert browser.run("document.querySelectorAll('h1').length") == 1
    assert browser.run("document.querySelectorAll('.claim').length") == len(NAMES)
    for name in NAMES:
        rows = len(sheet(made["frames"][name], entry(name).METRICS[0]).rows)
        found = f"document.querySelectorAll('#{name}-numbers tbody tr:not(.group)').length"
        assert browser.run(found) == rows
        found = browser.run(f"[...document.querySelectorAll('#claim-{name} .status')].map(s => s.textContent)")
        assert found == [one.status.capitalize() for one in entry(name).verdict(made["frames"][name])]
    assert browser.run("document.querySelectorAll('figure svg.shiftscope-figure').length") == 1
    assert browser.run("document.querySelectorAll('dl.vectors dt').length") == len(LANGUAGE)
    assert '"concept_0", scale=1.0)' in browser.run("document.querySelector('#vectors ~ pre').textContent")
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
    selectors = ["body", "a", "td.control", ".evidence", ".note", "figure svg text", ".dead", ".recipe"]
    contrasts = browser.run(CONTRAST % json.dumps([*selectors, *(f".mark-{mark}" for mark in set(MARKS.values()))]))
    assert min(contrasts) >= 4.5
    red = browser.run("getComputedStyle(document.querySelector('.dead')).color")
    assert red == {"light": "rgb(165, 40, 31)", "dark": "rgb(240, 141, 131)"}[scheme]


@pytest.mark.program
def test_evidence_is_shown_on_demand(made, browser):
    browser.open(made["page"])
    shown = "[...document.querySelectorAll('.evidence')].some(e => e.checkVisibility())"
    assert browser.run(shown) is False
    browser.run("document.querySelector('#claim-table_a6 summary').click()")
    assert browser.run(shown) is True


@pytest.mark.program
def test_print_hides_what_only_a_screen_can_use(made, browser):
    browser.open(made["page"])
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('#table_a6 .scroll')).overflowX") == "visible"
    browser.call("Emulation.setEmulatedMedia", media="")
