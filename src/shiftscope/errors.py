"""The one exception that means "the user can mend this", its most frequent text: an unknown name, and whom a warning is of."""

import difflib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class ShiftScopeError(Exception):
    """Raised for bad configuration, bad input or a machine that lacks something.

    A job that ends with it prints its text as one line and points to its log; every other exception is a fault of
    the program and leaves a full traceback in the log.
    """


@contextmanager
def warnings_of(subject: str) -> Iterator[None]:
    """Warnings within begin with what they are of, where a job does one thing after the other."""
    usual = logging.getLogRecordFactory()

    def naming(*given: Any, **more: Any) -> logging.LogRecord:
        record = usual(*given, **more)
        if record.levelno == logging.WARNING and record.name.startswith("shiftscope"):
            record.msg = f"{subject.replace('%', '%%')}: {record.msg}"
        return record

    logging.setLogRecordFactory(naming)
    try:
        yield
    finally:
        logging.setLogRecordFactory(usual)


def nearest(name: str, allowed: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """Those of the allowed names that are most like `name`, at most so many, best first."""
    return difflib.get_close_matches(name, list(allowed), most, likeness)


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """`what` is unknown, what is allowed, and the allowed name that is nearest to `name`, if one is near."""
    allowed = list(allowed)
    near = nearest(name, allowed)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{what} is unknown: allowed are {', '.join(sorted(allowed)) or 'none'}{hint}"
