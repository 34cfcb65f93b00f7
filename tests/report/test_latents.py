"""The page of latents: what is on it, that no token of a corpus can do anything to it, and how it behaves in a browser."""

import json
import re
import subprocess
import sys

import pytest
from helpers.browser import Browser, program
from helpers.card_worlds import make_autoencoder, make_text, make_words
from helpers.clone import ROOT
from helpers.programs import lacking
from helpers.tiny_lms import make_model, make_tokenizer

from shiftscope.evaluation.card_file import Histogram, TopContext, write_cards
from shiftscope.evaluation.cards import describe
from shiftscope.report.latents import (
    AT_ONCE,
    LATENT_TEMPLATES,
    bars,
    percent,
    render_latents,
    significant,
    token,
    visible,
)

HOSTILE = "<script>alert(1)</script>\u202e\n\"'&\0<img src=x onerror=alert(2)>"


@pytest.fixture(scope="session")
def made(once):
    """The cards of two autoencoders on one store and of one on another, with a hostile context, and their page."""
    folder = once("latents", make)
    return {
        "folder": folder,
        "page": folder / "report/latents.html",
        "cards": sorted((folder / "cards").rglob("*.json")),
    }


def make(folder):
    lm, tokenizer = make_model("llama"), make_tokenizer()
    files = []
    for dataset, variants in (("text", ("own", "other")), ("more", ("own",))):
        store = make_text(folder / dataset)
        store.facts["dataset"] = dataset
        trained = [make_autoencoder(name) for name in variants]
        windows = folder / dataset / "windows.arrow", folder / dataset / "windows.json"
        cards = describe(store, trained, [make_words()], lm, tokenizer, *windows, 64)
        first = cards.variants[0].cards[-1]  # the royal one
        evil = TopContext(before=HOSTILE, token=HOSTILE, after=HOSTILE, code=9.0, split="test", document=0, position=0)
        changed = first.model_copy(update={"contexts": [evil, *first.contexts]})
        changed.raised[0] = changed.raised[0].model_copy(update={"token": HOSTILE})
        cards.variants[0].cards[-1] = changed
        files.append(folder / "cards/tiny" / f"{dataset}.json")
        write_cards(files[-1], cards)
    command = [sys.executable, ROOT / "scripts/show_latents.py", "--cards", *files]
    done = subprocess.run(
        [*command, "--page", folder / "report/latents.html", "--report", folder / "report/index.html"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def browser():
    if program() is None:
        lacking("there is no Chromium here (Debian package chromium)")
    with Browser() as opened:
        yield opened


# --- without a browser


def test_tokens_of_a_corpus_are_escaped_and_the_page_refers_to_nothing_outside(made):
    text = made["page"].read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text and "\u202e" not in text and "\0" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩↵") == 2 * 4
    assert text.count("<script>") == 1 and "default-src 'none'" in text
    assert not set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert all(path.read_text(encoding="utf-8").strip() for path in LATENT_TEMPLATES)


def test_the_page_is_the_same_whatever_the_order_of_files(made):
    for files in (made["cards"], made["cards"][::-1]):
        text = render_latents(files, made["page"], made["page"].parent / "index.html")
        assert text == made["page"].read_text(encoding="utf-8")


def test_what_cannot_be_seen_has_a_sign():
    assert visible("a b\tc\nd\x00\u200be\u00e9\U0001f600") == "a b⇥c↵d␀⟨U+200B⟩e\u00e9\U0001f600"
    assert token(" the") == "␣the" and token("  ") == "␣␣" and token("a b ") == "a b␣" and token("") == "(nothing)"
    assert token("\n") == "↵" and token(" \n ") == "␣↵␣"


def test_numbers_have_the_digits_that_mean_something():
    assert (percent(1, 3), percent(7, 60_000), percent(0, 5), percent(5, 5)) == ("33 %", "0.012 %", "0 %", "100 %")
    assert (significant(-0.04321), significant(12345.6), significant(-12345.6)) == ("−0.0432", "12,346", "−12,346")


def test_a_histogram_is_told_in_words_and_no_filled_bin_is_invisible():
    drawn = bars(Histogram(edges=[0, 0.5, 1, 1.5], counts=[1000, 0, 1]))
    assert drawn.heights == [40, 0, 1]
    assert drawn.words == "Histogram of 1,001 codes from 0 to 1.5; most, 1,000, are from 0 to 0.5"
    assert bars(Histogram(edges=[], counts=[])) is None


# --- in Chromium

CARDS = "[...document.querySelectorAll('.card')]"
SHOWN = f"{CARDS}.filter(card => card.checkVisibility()).length"


@pytest.mark.program
def test_the_page_opens_and_has_a_card_for_every_latent(made, browser):
    browser.requests.clear()
    browser.open(made["page"])
    assert set(browser.requests) == {made["page"].resolve().as_uri()} and browser.errors == []
    assert browser.run(f"{CARDS}.length") == 3 * 3
    assert browser.run("document.querySelectorAll('h1').length") == 1
    heads = browser.run(f"{CARDS}.slice(0, 3).map(card => card.querySelector('h4').textContent.trim())")
    assert heads == ["royal latent 5", "colour latent 4", "gone latent 3 dead"]
    dead = browser.run(f"{CARDS}[2].textContent")
    assert "Active on 0 of 80 tokens, 0 %" in dead
    assert "It is not active on any of the 80 held-out and 160 training tokens" in dead
    card = f"{CARDS}[6]"  # of the second autoencoder, whose contexts nobody changed
    assert browser.run(f"[...new Set([...{card}.querySelectorAll('mark')].map(one => one.textContent.trim()))]") == [
        "king"
    ]
    assert browser.run(f"{card}.querySelectorAll('details li').length > 0")
    assert browser.run(f"[...{card}.querySelectorAll('.contexts')][0].children.length") == AT_ONCE
    assert browser.run(f"{card}.querySelector('svg').getAttribute('aria-label')").startswith("Histogram of ")
    assert "logits" in browser.run(f"{card}.querySelector('.changes').textContent")


@pytest.mark.program
def test_links_lead_to_cards(made, browser):
    browser.open(made["page"])
    links = browser.run("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
    assert "index.html" in links
    for link in set(links) - {"index.html"}:
        assert browser.run(f"document.querySelector({json.dumps(link)}) !== null"), link
    assert browser.run("new Set([...document.querySelectorAll('[id]')].map(one => one.id)).size") == browser.run(
        "document.querySelectorAll('[id]').length"
    )
    cells = browser.run(
        "[...document.querySelectorAll('.by-concept')].map(one => one.tBodies[0].querySelectorAll('td a').length)"
    )
    assert sorted(cells) == [3, 6]


CHOOSE = """(([id, value]) => { const one = document.querySelector(id); one.value = value;
    one.dispatchEvent(new Event("change", {bubbles: true})); })(%s)"""


@pytest.mark.program
def test_cards_can_be_filtered_by_autoencoder_and_concept_and_a_link_shows_what_it_leads_to(made, browser):
    browser.open(made["page"])
    told = "document.querySelector('#filter output').textContent"
    assert browser.run(told) == "9 of 9 cards"
    browser.run(CHOOSE % json.dumps(["#of-variant", "other"]))
    assert browser.run(SHOWN) == 3
    place = browser.run("[...document.querySelector('#of-concept').options].find(one => one.text === 'colour').value")
    browser.run(CHOOSE % json.dumps(["#of-concept", place]))
    assert browser.run(SHOWN) == 1 and browser.run(told) == "1 of 9 cards"
    assert browser.run(f"{CARDS}.find(card => card.checkVisibility()).textContent.includes('colour')")
    assert (
        browser.run("[...document.querySelectorAll('.variant-cards')].filter(one => one.checkVisibility()).length") == 1
    )
    browser.run(
        "new Promise(done => { addEventListener('hashchange', () => setTimeout(done)); location.hash = document.querySelector('.card[hidden]').id; })"
    )
    assert browser.run(SHOWN) == 9
    browser.run(CHOOSE % json.dumps(["#of-variant", "other"]))
    browser.run("new Promise(done => { document.querySelector('#filter button').click(); setTimeout(done, 50); })")
    assert browser.run(SHOWN) == 9 and browser.errors == []


@pytest.mark.program
def test_without_scripts_all_cards_are_there_and_no_filter(made, browser):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(made["page"])
        assert browser.run(SHOWN) == 9
        assert not browser.run("document.querySelector('#filter').checkVisibility()")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.program
def test_a_phone_shows_whole_cards(made, browser):
    browser.open(made["page"], width=360, height=740)
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == 360
    beyond = "[...document.querySelectorAll('.card *')].filter(one => one.getBoundingClientRect().right > 360).length"
    assert browser.run(beyond) == 0


CONTRAST = """(selectors => {
  const light = text => { const c = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126*c[0] + .7152*c[1] + .0722*c[2]; };
  const page = getComputedStyle(document.body).backgroundColor;
  return selectors.map(selector => { const style = getComputedStyle(document.querySelector(selector));
      const [own, below] = [style.color, style.backgroundColor.endsWith(", 0)") ? page : style.backgroundColor].map(light);
      return (Math.max(own, below) + .05) / (Math.min(own, below) + .05); });
})(%s)"""


@pytest.mark.program
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_can_be_read(made, browser, scheme):
    browser.open(made["page"], scheme=scheme)
    selectors = [
        "body",
        "mark",
        ".by",
        ".contexts abbr",
        ".empty",
        ".dead",
        "h4 a",
        "h4 small",
        ".histogram figcaption",
    ]
    assert min(browser.run(CONTRAST % json.dumps(selectors))) >= 4.5
