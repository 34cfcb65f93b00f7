"""Entries of the catalogue, built and written of made-up metric rows."""

import xml.etree.ElementTree as ElementTree

from shiftscope.evaluation.parts import read_parts, write_part
from shiftscope.tables.base import entry
from shiftscope.tables.drawing import write_figure
from shiftscope.tables.wide import write_table


def metrics_of(rows, folder):
    """Metric rows as every entry gets them: written as a part below `folder` and read."""
    write_part(folder / "part.parquet", rows)
    return read_parts([folder / "part.parquet"])


def built(name, rows, folder):
    """The tidy table of an entry."""
    return entry(name).build(metrics_of(rows, folder))


def verdict_on(name, table, recipe="ours", lm="smollm2_135m"):
    """The verdict of an entry on one recipe."""
    (found,) = (one for one in entry(name).verdict(table) if (one.recipe, one.lm) == (recipe, lm))
    return found


def rows_where(table, **keys):
    """The rows that have these values."""
    for name, value in keys.items():
        table = table[table[name] == value]
    return table


def one(table, **keys):
    """The only row that has these values."""
    found = rows_where(table, **keys)
    assert len(found) == 1
    return found.iloc[0]


def write(name, table, folder):
    """The files of an entry, all of them."""
    files = [folder / f"{name}.{ending}" for ending in ("parquet", "csv", "md")]
    write_table(table, entry(name), *files)
    if name.startswith("figure_"):
        files.append(folder / f"{name}.svg")
        write_figure(entry(name), table, files[-1])
    return files


def written(name, table, folder):
    """The Markdown of an entry, and the texts in its figure."""
    files = write(name, table, folder)
    drawn = ElementTree.fromstring(files[3].read_text()) if len(files) > 3 else ElementTree.Element("none")
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    return files[2].read_text(), texts
