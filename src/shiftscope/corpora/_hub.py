"""Rows of a dataset of the Hugging Face Hub as a stream: read through `datasets`, and taken up again where it breaks."""

import itertools
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shiftscope.downloads import hub_problem, unsigned
from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    from datasets import IterableDataset

logger = logging.getLogger(__name__)
ROWS = 1000
"""rows of a batch"""
WAITS = (1, 5, 20, 60, 180)
"""seconds before each new try of a stream that breaks again before it has brought a batch"""
OTHERWISE = "use `path` with a copy of the dataset"

Rows = tuple[list[dict[str, Any]], dict[str, Any]]
"""rows, and the state of the stream behind them"""


def opened(repo_id: str, revision: str, split: str) -> "IterableDataset":
    """The stream of a dataset's split; HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are honoured.

    Raises:
        ShiftScopeError: the repository is missing, gated or offline, or has no such revision or split.
    """
    import datasets

    datasets.disable_progress_bars()
    for library in ("httpx", "httpx2", "urllib3", "fsspec"):  # they log addresses, which are signed
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        return datasets.load_dataset(repo_id, revision=revision, split=split, streaming=True)
    except Exception as error:  # whatever its readers of files raise
        what = f"the dataset {repo_id} (revision {revision}, split {split})"
        address = f"https://huggingface.co/datasets/{repo_id}"
        raise ShiftScopeError(hub_problem(what, address, error, OTHERWISE)) from None


def rows_of(stream: "IterableDataset", what: str, after: dict[str, Any] | None) -> Iterator[Rows]:
    """The rows behind the state `after`, in batches; a stream that breaks goes on behind its last batch.

    Raises:
        ShiftScopeError: it breaks again and again at the same place; names it.
    """
    tries = 0
    while True:
        try:
            if after is not None:
                stream.load_state_dict(after)
            rows = iter(stream)
            while batch := list(itertools.islice(rows, ROWS)):
                after, tries = stream.state_dict(), 0
                yield batch, after
            return
        except Exception as error:  # the network's, the hub's, the archive's and the reader's: each library has its own
            reason = f"{type(error).__name__}: {unsigned(error)}"
            if tries == len(WAITS):
                raise ShiftScopeError(
                    f"the stream of {what} broke off {tries + 1} times at the same place ({reason}): check the network and run "
                    f"again, it goes on from there; or {OTHERWISE}"
                ) from None
            logger.warning("the stream of %s broke off (%s): going on in %d s", what, reason, WAITS[tries])
            time.sleep(WAITS[tries])
            tries += 1
