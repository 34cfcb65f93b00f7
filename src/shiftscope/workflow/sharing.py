"""The command line of `make track`, `make push`, `make pull`, `make verify` and `make why` (docs/sharing.md).

DVC owns large bytes, git small text, `results/provenance.jsonl` ties both to what made them (`provenance.py`).
"""

import argparse
import sys

from shiftscope.errors import ShiftScopeError
from shiftscope.workflow.pull import pull
from shiftscope.workflow.push import push
from shiftscope.workflow.track import track
from shiftscope.workflow.verify import verify, why

COMMANDS = ("track", "push", "pull", "verify", "why")


def main() -> None:
    """The command line: `python -m shiftscope.workflow.sharing track`."""
    parser = argparse.ArgumentParser(
        prog="python -m shiftscope.workflow.sharing", description="Share what was computed."
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument(
        "target",
        nargs="?",
        help="pull: a table or file to fetch for; why: the node to explain; track: a folder to track anew",
    )
    parser.add_argument("--configfile", nargs="*", default=[], help="as given to snakemake")
    given = parser.parse_args()
    if given.command == "why" and not given.target:
        parser.error("why needs a node, for example results/tables/table_a6.md")
    calls = {
        "track": lambda: track(given.target),
        "push": push,
        "pull": lambda: pull(given.target, given.configfile),
        "verify": verify,
        "why": lambda: why(given.target, given.configfile),
    }
    try:
        sys.exit(calls[given.command]())
    except ShiftScopeError as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
