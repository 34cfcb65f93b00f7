"""Figures as SVG."""

import xml.etree.ElementTree as ElementTree

from helpers.fake_metrics import language_rows
from helpers.tables import built

from shiftscope.tables.base import entry
from shiftscope.tables.drawing import write_figure


def test_figure_follows_the_page_and_refers_to_nothing_outside(tmp_path):
    module = entry("figure_a2")
    write_figure(module, built("figure_a2", language_rows(), tmp_path), tmp_path / "figure_a2.svg")
    text = (tmp_path / "figure_a2.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == module.TITLE
    written = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ssae", "affine", "pretrained_sae", "cat_135_3, 27 codes", "no steering"} <= set(written)
    assert "prefers-color-scheme:dark" in text
    assert "currentColor" in text
    references = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert references
    assert all(reference.startswith("#figure_a2-") for reference in references)
