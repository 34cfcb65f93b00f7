"""A language model in a GGUF file, turned once into an ordinary safetensors folder in float32."""

import logging
import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.files import check_sha256, read_json, write_json
from shiftscope.kinds import UserPath
from shiftscope.lms._tokenizer import check_token_ids
from shiftscope.lms.base import Fetched, quiet_libraries

logger = logging.getLogger(__name__)
DAMAGED = (ValueError, IndexError, KeyError, OverflowError, MemoryError, struct.error)
"""what the parser of a damaged file raises"""
GPT_2 = ("default", "gpt-2", "gpt2")
"""names of the rule by which GPT-2 splits a text before it merges bytes, which is taken for every name that is not known"""
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
"""names of the same rule with every digit by itself, which transformers does not know"""
HEADER = 64 << 20
"""bytes at the beginning of a file that hold its metadata and the names of its tensors"""


class Gguf(Fetched):
    """`path`: the GGUF file; `sha256`: its digest, checked if given."""

    path: UserPath
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Convert the file into `folder`.

        Raises:
            ShiftScopeError: the file is absent, not the expected one, truncated, or of an unknown architecture.
        """
        if not self.path.is_file():
            raise ShiftScopeError(f"{self.path} is not a file: give the path of a GGUF file")
        if self.sha256:
            check_sha256(self.path, self.sha256, str(self.path), "fetch the file again, or correct sha256")
        convert(self.path, folder)
        return {}


def convert(file: Path, folder: Path) -> None:
    """Write config, tokenizer and float32 weights of the GGUF `file` to `folder`.

    Raises:
        ShiftScopeError: the file is incomplete, transformers does not know its architecture, or weights are missing.
    """
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    logger.info("converting %s to safetensors", file.name)
    where = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        with parsed_once():
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
            split_as_named(file, tokenizer)
            model, report = AutoModelForCausalLM.from_pretrained(
                file.parent,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),  # without it the model could not be saved
                output_loading_info=True,
                **where,
            )
    except (*DAMAGED, NotImplementedError, RuntimeError) as error:
        check_complete(file)  # only now: parsing the header takes seconds
        raise ShiftScopeError(
            f"transformers cannot convert {file} ({error}): use a GGUF file of an architecture that it knows"
        ) from error
    wrong = {name: sorted(map(str, keys)) for name, keys in report.items() if keys}
    if wrong:
        raise ShiftScopeError(f"{file} does not fit its own config ({wrong}): use another conversion of the model")
    if scales_positions(file):
        logger.warning(
            "%s scales its rotary positions for long contexts, and transformers does not take that over: activations differ "
            "from the original's, little in short texts; use the original checkpoint where that matters",
            file.name,
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    keep_tokenizer(folder)


def keep_tokenizer(folder: Path) -> None:
    """See that the tokenizer is loaded as it was saved: some classes would build theirs anew from its tokens, by other rules."""
    from transformers import AutoTokenizer

    try:
        check_token_ids(folder, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    except ShiftScopeError:
        about = read_json(folder / "tokenizer_config.json")
        write_json(folder / "tokenizer_config.json", about | {"tokenizer_class": "PreTrainedTokenizerFast"})


def split_as_named(file: Path, tokenizer: Any) -> None:
    """See that the tokenizer splits texts by the rule that the file names (`tokenizer.ggml.pre`).

    Raises:
        ShiftScopeError: neither transformers nor this function knows the rule, so that texts would be read as other tokens.
    """
    from gguf import GGUFReader
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    fields = GGUFReader(str(file)).fields
    kind, rule = (
        fields[key].contents() if (key := f"tokenizer.ggml.{name}") in fields else None for name in ("model", "pre")
    )
    if kind != "gpt2" or rule is None or rule in GPT_2 or rule in GGUF_PRE_TOKENIZER_SPLITS:
        return
    if rule not in SINGLE_DIGITS:
        raise ShiftScopeError(
            f"{file.name} splits texts by the rule {rule!r} (tokenizer.ggml.pre), which transformers does not know and would read "
            "by GPT-2's, as other tokens: use the original checkpoint, or a GGUF file with a known rule "
            f"({', '.join(sorted({*GPT_2, *SINGLE_DIGITS, *GGUF_PRE_TOKENIZER_SPLITS}))})"
        )
    if any(re.search(r"\d\d", token) for token in tokenizer.get_vocab()):  # else both rules give the same tokens
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        )


@contextmanager
def parsed_once() -> Iterator[None]:
    """Parse a file once: transformers makes a reader for config, tokenizer and weights, and a name map per tensor."""
    import gguf

    slow = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, function in slow.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        for name, function in slow.items():
            setattr(gguf, name, function)


def scales_positions(file: Path) -> bool:
    """Whether a GGUF file names factors for its rotary positions, as metadata or as a tensor."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(name, 0, HEADER) >= 0 for name in (b".rope.scaling.factor", b"rope_freqs.weight"))


def check_complete(file: Path) -> None:
    """Parse the header of a GGUF file and the extent of every tensor.

    Raises:
        ShiftScopeError: it is not GGUF, or ends too early.
    """
    from gguf import GGUFReader

    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise ShiftScopeError(f"{file} is not a GGUF file: give the path of one")
    try:
        GGUFReader(file)
    except DAMAGED as error:
        raise ShiftScopeError(
            f"{file} is truncated or damaged ({type(error).__name__}: {error}): fetch the file again"
        ) from error
