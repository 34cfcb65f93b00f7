"""The one exception that means "the user can mend this", and its most frequent text: an unknown name."""

import difflib
from collections.abc import Iterable


class ShiftScopeError(Exception):
    """Raised for bad configuration, bad input or a machine that lacks something.

    A job that ends with it prints its text as one line and points to its log; every other exception is a fault of
    the program and leaves a full traceback in the log.
    """


def nearest(name: str, allowed: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """Those of the allowed names that are most like `name`, at most so many, best first."""
    return difflib.get_close_matches(name, list(allowed), most, likeness)


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """`what` is unknown, what is allowed, and the allowed name that is nearest to `name`, if one is near."""
    allowed = list(allowed)
    near = nearest(name, allowed)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{what} is unknown: allowed are {', '.join(sorted(allowed)) or 'none'}{hint}"
