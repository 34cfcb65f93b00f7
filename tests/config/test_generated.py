"""What is written from the code is what the repository holds."""

import pytest
from helpers.clone import ROOT

from shiftscope.config.generated import generated
from shiftscope.metrics.base import all_metrics


@pytest.mark.parametrize("path", generated(ROOT), ids=lambda path: path.name)
def test_the_repository_is_current(path):
    """Else: `make generated`."""
    assert path.read_text(encoding="utf-8") == generated(ROOT)[path]


def test_the_docs_have_every_metric():
    text = (ROOT / "docs/file-formats.md").read_text(encoding="utf-8")
    assert all(f"| `{metric.name}` |" in text and metric.meaning in text for metric in all_metrics())
    assert len(all_metrics()) > 20
