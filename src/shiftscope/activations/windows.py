"""Documents packed into windows of equal length, as a language model reads them to have its activations cached.

Every window begins with the separator, which also stands between documents: it is what the tokenizer puts before a text,
else the end-of-text token. It is read and not kept: at a window's first position many a language model writes a large
vector that hardly depends on the token. A document that does not fit goes on in the next window; attention sees all
tokens of a window, those of the documents before among them, as in pretraining.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from shiftscope.activations.store import AGAIN, lists_of, map_arrow, write_arrow
from shiftscope.errors import ShiftScopeError
from shiftscope.files import check_sha256, read_json, sha256_of, write_json
from shiftscope.kinds import Strict
from shiftscope.lms.base import read_manifest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase
logger = logging.getLogger(__name__)

NOWHERE = -1
"""document and position of a separator"""
BATCH = 256
"""documents that are tokenized at once"""
GROUPS = 64
"""groups of rows of a corpus that are kept"""
ONE_DOCUMENT = (
    "the corpus has {} document{} with text, and held-out tokens are of other documents than those that are trained on: "
    "give it more documents, or split its text into several"
)


class WindowsSlice(Strict):
    """The slice of the config of a corpus as one language model reads it."""

    lm: str
    dataset: str
    train: int
    """windows to train on"""
    test: int
    """windows of documents that are held out"""
    window: int
    """tokens of a window, the separator among them"""
    separator: str | None = None
    seed: int = 0


class WindowsFacts(TypedDict):
    """`windows.json` (docs/file-formats.md)."""

    lm: str
    dataset: str
    corpus: str
    corpus_sha256: str
    window: int
    separator: str
    windows: dict[str, int]
    documents: dict[str, int]
    lm_files: dict[str, str]
    """of the language model whose tokenizer it was, by name: sha256"""
    sha256: str


class Windows(NamedTuple):
    """Windows `[n, window]` int32: what is read, and where each token is from."""

    token: np.ndarray
    document: np.ndarray
    position: np.ndarray


def separator_of(tokenizer: PreTrainedTokenizerBase, asked: str | None) -> int:
    """The id of the token before every document: the one asked for, what the tokenizer puts there, or the end of text.

    Raises:
        ShiftScopeError: it is no single token, or there is none.
    """
    if asked is not None:
        ids = tokenizer(asked, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise ShiftScopeError(
                f"separator {asked!r} is {len(ids)} tokens of this LM's tokenizer: name one that is one"
            )
        return ids[0]
    first = tokenizer("a")["input_ids"][0]
    if first in tokenizer.all_special_ids:
        return first
    if tokenizer.eos_token_id is None:
        raise ShiftScopeError(
            "the tokenizer has no end-of-text token: name one that stands between documents as `separator`"
        )
    return tokenizer.eos_token_id


def in_random_order(documents: Path, seed: int) -> Iterator[tuple[int, str]]:
    """All documents of a corpus and their rows, in a random order; groups of rows are kept while there is room for them."""
    with pq.ParquetFile(documents) as opened:
        sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        read = functools.lru_cache(GROUPS)(lambda group: opened.read_row_group(group, columns=["text"])["text"])
        for row in np.random.default_rng([seed, 0]).permutation(starts[-1]).tolist():
            group = int(np.searchsorted(starts, row, side="right")) - 1
            yield row, read(group)[int(row - starts[group])].as_py()


def tokenized(
    documents: Iterable[tuple[int, str]], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[int, list[int]]]:
    """The rows of documents and their tokens, without special ones."""
    batch: list[tuple[int, str]] = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            yield from _tokenize(batch, tokenizer)
            batch = []
    yield from _tokenize(batch, tokenizer)


def _tokenize(batch: list[tuple[int, str]], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[int, list[int]]]:
    if batch:  # `verbose`: a document may be longer than the model reads, for it is cut into windows
        ids = tokenizer([text for _, text in batch], add_special_tokens=False, verbose=False)["input_ids"]
        yield from ((row, found) for (row, _), found in zip(batch, ids, strict=True))


class Packer:
    """Fills windows of one split with documents, one after the other."""

    def __init__(self, wanted: int, window: int, separator: int) -> None:
        self.wanted, self.window, self.separator = wanted, window, separator
        self.rows: list[np.ndarray] = []
        """whole windows `[3, window]`: token, document, position"""
        self.documents = 0
        self._open = self._new()

    def _new(self) -> list[np.ndarray]:
        return [np.array([[self.separator], [NOWHERE], [NOWHERE]], np.int32)]

    @property
    def full(self) -> bool:
        """Whether all windows are there."""
        return len(self.rows) >= self.wanted

    def add(self, document: int, ids: list[int]) -> None:
        """Put a document where the last one ends; what is left of it when all windows are there is left out."""
        self.documents += 1
        place = sum(part.shape[1] for part in self._open)
        if 1 < place < self.window:
            self._open += self._new()
            place += 1
        columns = np.stack([ids, np.full(len(ids), document), np.arange(len(ids))]).astype(np.int32)
        while columns.shape[1] and not self.full:
            self._open.append(columns[:, : self.window - place])
            columns, place = columns[:, self.window - place :], place + self._open[-1].shape[1]
            if place == self.window:
                self.rows.append(np.concatenate(self._open, axis=1))
                self._open, place = self._new(), 1


def pack(documents: Iterable[tuple[int, list[int]]], asked: WindowsSlice, separator: int) -> dict[str, Packer]:
    """Windows for training and of held-out documents, no document in both; a seed says which are held out.

    Raises:
        ShiftScopeError: there are not enough documents; says how many tokens there are.
    """
    packers = {
        "train": Packer(asked.train, asked.window, separator),
        "test": Packer(asked.test, asked.window, separator),
    }
    share = asked.test / (asked.train + asked.test)
    generator = np.random.default_rng([asked.seed, 1])
    total, read = asked.train + asked.test, 0
    with tqdm(total=total, desc=f"{asked.lm} packs {asked.dataset}", unit="window", leave=False) as bar:
        for row, ids in documents:
            read += bool(ids)
            packer = packers["test" if generator.random() < share else "train"]
            if not packer.full and ids:
                packer.add(row, ids)
                bar.update(sum(len(one.rows) for one in packers.values()) - bar.n)
            if all(one.full for one in packers.values()):
                return packers
    raise ShiftScopeError(_too_short(asked, [len(packers[name].rows) for name in ("train", "test")], read))


def _too_short(asked: WindowsSlice, have: list[int], documents: int) -> str:
    """What to say of a corpus that does not fill its windows, of which there are `have` to train on and held out."""
    if documents < 2:
        return ONE_DOCUMENT.format(documents, "s" * (documents != 1))
    wanted = [asked.train, asked.test]
    share = min(found / windows for found, windows in zip(have, wanted, strict=True))
    lower = [int(share * windows) * asked.window for windows in wanted]
    about = f" to about {lower[0]} and {lower[1]}" if all(lower) else ""
    return (
        f"the {documents} documents of the corpus fill {have[0]} windows of {asked.window} tokens for training and {have[1]} "
        f"held out, and {asked.train} and {asked.test} are wanted: lower `tokens` and `held_out`{about}, or give the corpus "
        "more documents"
    )


def check_corpus(documents: Path, corpus: Mapping[str, Any]) -> None:
    """Compare a corpus with its manifest, and see that some of it can be held out.

    Raises:
        ShiftScopeError: the file is not the manifest's, or there are fewer than two documents.
    """
    if corpus["documents"] < 2:
        raise ShiftScopeError(ONE_DOCUMENT.format(corpus["documents"], "s" * (corpus["documents"] != 1)))
    check_sha256(documents, corpus["sha256"], str(documents), f"it is damaged, or of another corpus; {AGAIN}")


def check_window(config: PretrainedConfig, window: int) -> None:
    """See that a language model reads so many tokens at once.

    Raises:
        ShiftScopeError: it does not.
    """
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if context is not None and window > context:
        raise ShiftScopeError(f"a window of {window} tokens is longer than the LM reads ({context}): lower `window`")


def check_tokens(token: np.ndarray, vocabulary: int, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
    """See that a language model of so many embeddings has one for each token.

    Raises:
        ShiftScopeError: it has none for one; names the token.
    """
    beyond = token[(token < 0) | (token >= vocabulary)]
    if len(beyond):
        name = f" ({tokenizer.convert_ids_to_tokens(int(beyond[0]))!r})" if tokenizer else ""
        raise ShiftScopeError(
            f"the text has token {beyond[0]}{name}, and the LM has embeddings for {vocabulary} tokens: its tokenizer is that "
            "of another model, or tokens were added to it and not to the weights; give the LM its own tokenizer"
        )


def write_windows(
    asked: WindowsSlice, documents: Path, corpus_manifest: Path, lm: Path, windows: Path, manifest: Path
) -> None:
    """Pack a corpus for a language model, and write its windows in a random order, those of training first.

    Args:
        asked: how many windows of which length.
        documents: the corpus, with `corpus_manifest` beside it.
        corpus_manifest: see `documents`.
        lm: the language model's folder.
        windows: file to write: an Arrow file of `token`, `document` and `position` `[window]`.
        manifest: its manifest.

    Raises:
        ShiftScopeError: there are not enough documents, the corpus is not that of its manifest, the tokenizer has no
            separator or is of another language model, or the language model does not read so many tokens.
    """
    from transformers import AutoConfig, AutoTokenizer

    corpus, about = read_json(corpus_manifest), read_manifest(lm)
    check_corpus(documents, corpus)
    check_window(AutoConfig.from_pretrained(lm, local_files_only=True, trust_remote_code=False), asked.window)
    tokenizer = AutoTokenizer.from_pretrained(lm, local_files_only=True, trust_remote_code=False)
    separator = separator_of(tokenizer, asked.separator)
    packers = pack(tokenized(in_random_order(documents, asked.seed), tokenizer), asked, separator)
    generator = np.random.default_rng([asked.seed, 2])
    rows = [one.rows[place] for one in packers.values() for place in generator.permutation(len(one.rows))]
    table = np.stack(rows, axis=1)
    check_tokens(table[0].reshape(-1), about["vocabulary"], tokenizer)
    columns = [pa.FixedSizeListArray.from_arrays(pa.array(column.reshape(-1)), asked.window) for column in table]
    write_arrow(windows, dict(zip(Windows._fields, columns, strict=True)))
    facts = WindowsFacts(
        lm=asked.lm,
        dataset=asked.dataset,
        corpus=corpus["corpus"],
        corpus_sha256=corpus["sha256"],
        window=asked.window,
        separator=tokenizer.convert_ids_to_tokens(separator),
        windows={name: len(one.rows) for name, one in packers.items()},
        documents={name: one.documents for name, one in packers.items()},
        lm_files=about["files"],
        sha256=sha256_of(windows),
    )
    write_json(manifest, facts)
    logger.info("%s windows of %d tokens from %s documents, separated by %s",
                facts["windows"], asked.window, facts["documents"], facts["separator"])  # fmt: skip


def read_windows(path: Path, first: int, last: int) -> Windows:
    """The windows of some numbers, memory-mapped.

    Raises:
        ShiftScopeError: the file is missing or damaged, or has fewer.
    """
    batch = map_arrow(path)
    if len(batch) < last:
        raise ShiftScopeError(f"{path} has {len(batch)} windows, and window {last - 1} is wanted: {AGAIN}")
    return Windows(*(lists_of(batch.column(name))[first:last] for name in Windows._fields))


def read_held_out(path: Path, manifest: Path) -> Windows:
    """The windows of held-out documents."""
    facts: WindowsFacts = read_json(manifest)
    first = facts["windows"]["train"]
    return read_windows(path, first, first + facts["windows"]["test"])
