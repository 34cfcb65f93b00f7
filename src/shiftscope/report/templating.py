"""What all pages of the report share: where their templates are, and how they are filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Templates whose every value is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def static(name: str) -> str:
    """The text of a style sheet or a script, which stands in the page itself."""
    return (FOLDER / name).read_text(encoding="utf-8").strip()
