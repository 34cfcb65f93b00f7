"""Whether the tokenizer that transformers makes of a folder gives the token ids that the folder's own file gives."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBES = (
    "in 2023, the year 1984", " a  b\tc\n\nd", "I'll don't we've", "Café naïve 東京 ½", "snake_case(x)->y; 3.14", "HELLO World",
)  # fmt: skip
"""texts on which rules of splitting differ: digits, spaces, apostrophes, accents, signs, capitals"""


def check_token_ids(folder: Path, tokenizer: "PreTrainedTokenizerBase", texts: Iterable[str] = PROBES) -> None:
    """Compare token ids with those of `tokenizer.json` in the folder, if it has one.

    A wrong class in `tokenizer_config.json` makes transformers build the tokenizer anew by that class's rules, so that the
    model reads other tokens than it was trained on.

    Raises:
        ShiftScopeError: they differ; names the text and both.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        return
    own = Tokenizer.from_file(str(file))
    own.no_truncation()
    own.no_padding()
    for text in texts:
        expected = own.encode(text, add_special_tokens=False).ids
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if found != expected:
            raise ShiftScopeError(
                f"transformers reads {text[:60]!r} as the tokens {found[:12]}, but tokenizer.json in {folder} as {expected[:12]}: its "
                f"tokenizer_config.json names another tokenizer_class ({type(tokenizer).__name__}) than it was made with; "
                'write "PreTrainedTokenizerFast" there'
            )
