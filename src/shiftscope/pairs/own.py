"""The user's own pairs: files, or a dataset of Hugging Face's, with two texts a row and, if known, what changes between them.

Rows that cannot be used are listed by number with a reason; nothing is dropped silently. See docs/own-pairs.md.
"""

from __future__ import annotations

import glob
import logging
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from shiftscope.errors import ShiftScopeError
from shiftscope.kinds import Strict, UserPath
from shiftscope.pairs import _columns
from shiftscope.pairs._dataset import is_dataset, read_folder, read_hub
from shiftscope.pairs._reasons import first_lines, gathered
from shiftscope.pairs._rows import IDENTICAL, chat_in, filled_in, number_of, plain, text_of, why_not
from shiftscope.pairs._split import linked, shuffled, split_by_group
from shiftscope.pairs._table import FileRow, Table, long_to_pairs, read_table, values_of
from shiftscope.pairs.base import Pair, PairDataset, Pairs, Rejected, RowsError

logger = logging.getLogger(__name__)
FEWEST = 4
"""usable rows, and pairs that differ: two groups to train on and two to test on, at the very least"""
MOST_IN_A_GROUP = 0.5
"""share of the rows that may belong together: what is held out would else be too little, or what is learned from"""


Paths = Annotated[
    list[UserPath],
    Field(min_length=1),
    BeforeValidator(lambda given: given if isinstance(given, list) else [given]),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class LongForm(Strict):
    """Files with one text a row: rows with the same `pair` are one, and `side` says which of its texts each holds."""

    pair: str
    side: str
    text: str = "text"


class Own(PairDataset):
    """Where the texts are, and what columns mean.

    `path` is a file, several of them, a pattern such as `data/*.csv`, or the folder of a dataset; `hub` the id of one of the
    hub, with its `revision`. `group` names what must not be split between train and test; `concepts` are the columns of
    shifts, usually -1, 0 or 1, and `labels` says what numbers other values mean.
    """

    for_vectors = True

    path: Paths | None = None
    hub: str | None = None
    revision: str | None = None
    split: str = "train"
    encoding: str | None = None
    separator: str | None = Field(None, min_length=1, max_length=1)
    text_0: str | None = None
    text_1: str | None = None
    long: LongForm | None = None
    group: str | None = None
    concepts: tuple[str, ...] = ()
    labels: dict[str, float] = Field(default_factory=dict)
    template: str = "{text}"
    max_characters: int = Field(4000, ge=1)

    @model_validator(mode="after")
    def _one_source(self) -> Own:
        """Refuse none or two places to read from."""
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either `path` or `hub`")
        if self.hub and not self.revision:
            raise ValueError(
                "`hub` needs a `revision` beside it, so that everybody reads the same rows: a commit or a tag"
            )
        if self.long and not (self.text_0 and self.text_1):
            raise ValueError(
                "with `long`, text_0 and text_1 are the two values of its `side`, before and after: give both"
            )
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Own:
        """Refuse one column in two roles; a text may name its group."""
        given = [*filter(None, [self.text_0, self.text_1]), *self.concepts]
        roles = Counter([*given, *([self.group] if self.group in self.concepts else [])])
        repeated = [name for name, count in roles.items() if count > 1]
        if repeated:
            raise ValueError(f"column {repeated[0]!r} is named twice among text_0, text_1, group and concepts")
        return self

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str | None) -> str | None:
        """Refuse what Python has no codec for."""
        import codecs

        try:
            return name and codecs.lookup(name).name
        except LookupError:
            raise ValueError("it is no encoding that Python knows, such as cp1252, latin-1 or utf-16") from None

    @field_validator("template")
    @classmethod
    def _template_is_complete(cls, template: str) -> str:
        """Refuse a template without the text, or with it twice; its other names are columns."""
        rule = "must hold {text} once; other names in braces are columns (a literal brace is written {{ or }})"
        try:
            names = _columns.placeholders(template)
        except ValueError as error:
            raise ValueError(f"template {template!r} {rule}: {error}") from error
        if names.count("text") != 1:
            raise ValueError(
                f"template {template!r} {rule}; found {' '.join(f'{{{name}}}' for name in names) or 'none'}"
            )
        return template

    def concept_names(self) -> tuple[str, ...]:
        """The label columns."""
        return self.concepts

    @property
    def labelled(self) -> bool:
        """Whether there is a label column."""
        return bool(self.concepts)

    @property
    def user_files(self) -> tuple[Path, ...]:
        """The files, of a pattern those that are there, in the order of their names.

        Raises:
            ShiftScopeError: nothing fits the pattern.
        """
        return tuple(file for path in self.path or () for file in _expanded(path))

    def build(self) -> Pairs:
        """Read the rows, list the bad ones, and split the others by group.

        Raises:
            ShiftScopeError: what is to be read or a column is missing; fewer than four rows are usable, which then come with
                it; texts are too few, one of them never changes, or most rows belong together.
        """
        table = self._read()
        names = self._names(table)
        reasons = [why_not(row, names, self) for row in table.rows]
        usable = [row for row, reason in zip(table.rows, reasons, strict=True) if reason is None]
        bad = [
            (Rejected(row.number, str(reason), text_of(row, names[0]), text_of(row, names[1]), row.file), reason)
            for row, reason in zip(table.rows, reasons, strict=True)
            if reason is not None
        ]
        rejected, lines = [one for one, _ in bad], gathered(bad)
        logger.info("%s: %d rows, %d usable, %d rejected", self._where, len(table.rows), len(usable), len(bad))
        if len(usable) < FEWEST:
            raise RowsError(_too_few(self._where, len(table.rows), len(usable), lines), rejected)
        if rejected:
            logger.warning("%d of %d rows are left out: %s", len(rejected), len(table.rows), first_lines(lines))
        try:
            return self._pairs(usable, names, table, rejected, lines)
        except ShiftScopeError as error:
            raise RowsError(f"{self._where}: {error}", rejected) from error

    @property
    def _where(self) -> str:
        """What is read, in messages."""
        if self.hub:
            return f"{self.hub} ({self.revision})"
        files = self.user_files
        return str(files[0]) + (f" and {len(files) - 1} more files" if len(files) > 1 else "")

    def _read(self) -> Table:
        if self.hub:
            table = read_hub(self.hub, self.revision or "", self.split)
        elif len(self.user_files) == 1 and is_dataset(self.user_files[0]):
            table = read_folder(self.user_files[0], self.split)
        else:
            named = len(self.path or ()) == len(self.user_files)
            table = read_table(self.user_files, self.encoding, self.separator, named)
        if not self.long:
            return table
        long = self.long
        for name in (long.pair, long.side, long.text):
            if table.columns and name not in table.columns:
                said = _columns.missing_column(table, name, (), "set pair, side and text of `long` to their names")
                raise ShiftScopeError(f"{self._where} {said}")
        return long_to_pairs(table, long.pair, long.side, long.text, (str(self.text_0), str(self.text_1)))

    def _names(self, table: Table) -> tuple[str, str]:
        """The columns of the two texts; all that are named must be there.

        Raises:
            ShiftScopeError: one is not; names the nearest. Or which hold the texts cannot be told.
        """
        others = [*filter(None, [self.group]), *self.concepts, *self._beside]
        if not table.columns:  # no line could be read at all: the rows' own reasons say why
            return self.text_0 or "text_0", self.text_1 or "text_1"
        named = [*filter(None, [self.text_0, self.text_1]), *others]
        for name in named:
            if not _columns.has_column(table, name):
                what = "set text_0, text_1, group, concepts or the names in `template` to their names"
                raise ShiftScopeError(f"{self._where} {_columns.missing_column(table, name, named, what)}")
        if self.text_0 and self.text_1:
            return self.text_0, self.text_1
        try:
            names = _columns.guessed(table, others, (self.text_0, self.text_1))
        except ShiftScopeError as error:
            raise ShiftScopeError(f"{self._where}: {error}") from error
        if names != ("text_0", "text_1"):
            logger.warning("columns guessed: %r holds the texts before, %r those after (text_0, text_1)", *names)
        return names

    @property
    def _beside(self) -> list[str]:
        """The columns that the template names beside the text."""
        return [name for name in _columns.placeholders(self.template) if name != "text"]

    def _pairs(
        self, usable: list[FileRow], names: tuple[str, str], table: Table, rejected: list[Rejected], lines: list[str]
    ) -> Pairs:
        chat = chat_in(usable, names, self.template)
        texts = [tuple(filled_in(row, name, self, chat) for name in names) for row in usable]
        _check_texts(texts, names, usable, table, self)
        groups = _groups(usable, names, self)
        _check_groups(groups, usable, self)
        pairs = [_pair(row, two, group, self) for row, two, group in zip(usable, texts, groups, strict=True)]
        steering = "concepts" if self.concepts else None
        held_out = _held_out(groups, self)
        splits = split_by_group(pairs, self, steering, held_out=held_out)
        if self.group:
            _warn_of_shared_texts(splits["train"], splits["test"], self)
        sizes = Counter(groups)
        facts = {
            "text_columns": list(names), "chat": chat, "rows": len(table.rows), "groups": len(sizes),
            "largest_group": max(sizes.values()), "rejected_reasons": lines,
        }  # fmt: skip
        truths = {"concepts": list(self.concepts)} if self.concepts else {}
        unit = self.group or "rows that share a text"
        return Pairs(splits, self.template, unit, truths, steering, self.orientation, rejected, facts)


def _expanded(path: Path) -> list[Path]:
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = [Path(one) for one in sorted(glob.glob(str(path), recursive=True)) if Path(one).is_file()]  # noqa: PTH207 (of any root)
    if not found:
        raise ShiftScopeError(f"no file fits {path}: correct `path` (relative to the folder of the Snakefile)")
    return found


def _too_few(where: str, rows: int, usable: int, lines: Sequence[str]) -> str:
    if len(lines) == 1 and f": {IDENTICAL} (" in lines[0] and not usable:
        return f"{where}: in all {rows} rows the two texts are identical, so nothing changes: give pairs that differ"
    why = f" ({first_lines(lines)})" if lines else ""
    return f"{where} has {usable} usable rows of {rows}{why}: at least {FEWEST} are needed, a few dozen to learn from"


def _check_texts(
    texts: list[tuple[str, str]], names: tuple[str, str], usable: list[FileRow], table: Table, params: Own
) -> None:
    """Refuse pairs of which nothing can be learned, whatever their number.

    Raises:
        ShiftScopeError: names the column and what helps.
    """
    others = [name for name in table.columns if name not in names and _columns.holds_text(table, name)]
    spaced = all(str(_columns.cell_of(row, name))[:1].isspace() for row in usable for name in names)
    named = f"{{{others[0]}}}{'' if spaced else ' '}{{text}}" if others else ""
    template = (
        f"; with a column that differs, such as template: '{named}' (make vectors: TEMPLATE='{named}'), they do"
        if others
        else ""
    )
    for place, name in enumerate(names):
        values = {str(_columns.cell_of(row, name)) for row in usable}
        if all(map(_columns.is_number, values)):
            raise ShiftScopeError(
                f"column {name!r} holds numbers ({', '.join(values_of(table, name, 3))}), so it is a label, not a text: name it "
                f"under `concepts`, and as text_{place} the column of the texts"
            )
        if len({two[place] for two in texts}) == 1:
            raise ShiftScopeError(
                f"column {name!r} holds the same text in all {len(usable)} rows ({str(next(iter(values)))[:40]!r}), so a pair's shift "
                f"is no more than its other text: give each row a text of its own{template}"
            )
    distinct = {frozenset(two) for two in texts}
    if len(distinct) < FEWEST:
        raise ShiftScopeError(
            f"its {len(usable)} rows hold {len(distinct)} different pair{'s' * (len(distinct) > 1)} of texts only, which tell of one "
            f"change, not of what varies: give pairs that differ{template}"
        )


def _groups(usable: list[FileRow], names: tuple[str, str], params: Own) -> list[int]:
    """The group of each row: by the user's column, else rows that share a text, even through others, are one."""
    if params.group:
        cells = [str(_columns.cell_of(row, params.group)).strip() for row in usable]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(cells))}
        return [numbers[name] for name in cells]
    beside = [tuple(str(_columns.cell_of(row, name)) for name in params._beside) for row in usable]
    return linked(
        [
            tuple("\0".join([plain(_columns.text_of(row, name)), *more]) for name in names)
            for row, more in zip(usable, beside, strict=True)
        ]
    )


def _check_groups(groups: list[int], usable: list[FileRow], params: Own) -> None:
    """Refuse a group that is most of the rows: nothing could be held out, or nothing learned from."""
    (largest, size), *_ = Counter(groups).most_common(1)
    if size <= MOST_IN_A_GROUP * len(groups):
        return
    if params.group:
        name = str(_columns.cell_of(usable[groups.index(largest)], params.group)).strip()
        raise ShiftScopeError(
            f"group {name!r} of column {params.group!r} holds {size} of {len(groups)} rows, so no fair share can be held out: name a "
            "`group` column of smaller groups, or none"
        )
    raise ShiftScopeError(
        f"{size} of {len(groups)} rows hang together by texts that they share, even through others, so no fair share can be held out: "
        "name a `group` column that says what belongs together, or give rows that share fewer texts"
    )


def _held_out(groups: list[int], params: Own) -> set[int]:
    """Groups drawn at random that have as many of the rows as `held_out` says, or a little fewer; at least one."""
    sizes, taken, rows = Counter(groups), set(), 0
    wanted = int(params.held_out * len(groups) + 0.5)
    drawn = shuffled(sorted(sizes), random.Random(f"held out {params.seed}"))
    for group in drawn:
        if rows + sizes[group] <= wanted:
            taken.add(group)
            rows += sizes[group]
    return taken or {min(drawn, key=lambda group: sizes[group])}


def _pair(row: FileRow, texts: tuple[str, str], group: int, params: Own) -> Pair:
    labels = {
        place: number_of(_columns.cell_of(row, name), params.labels) for place, name in enumerate(params.concepts)
    }
    changed = {place: value for place, value in labels.items() if value}
    return Pair(*texts, group, {"concepts": changed} if params.concepts else {})


def _warn_of_shared_texts(train: list[Pair], test: list[Pair], params: Own) -> None:
    """The user's groups are kept as they are, but a text on both sides of the split is said."""
    sides = [{plain(text) for pair in side for text in (pair.text_0, pair.text_1)} for side in (train, test)]
    shared = sorted(sides[0] & sides[1])
    if shared:
        logger.warning(
            "%s: %d texts stand in both training and held-out groups of column %r, such as %r: "
            "held-out scores are then too good",
            params._where, len(shared), params.group, shared[0],
        )  # fmt: skip
