"""What the sources of language models share: what one offers, taking over a folder, and the manifest."""

from __future__ import annotations

import os
import shutil
import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from shiftscope import kinds
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, read_json, sha256_of, write_json
from shiftscope.kinds import Kind, Strict
from shiftscope.lms._tokenizer import check_token_ids

MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
"""folder of weights by step, of an LM that was trained here"""
CHECKPOINT_FILE = "step_{step:06}.safetensors"
"""in that folder"""
WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "*.model", "chat_template*",
)  # fmt: skip


class Source(Kind):
    """Where a language model, or embeddings that stand for one, come from: an entry's part of the config."""


class Fetched(Source):
    """A source whose language model is fetched, not trained or computed here."""

    @abstractmethod
    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Leave an ordinary Hugging Face folder in the empty `folder`.

        Args:
            folder: is filled.
            downloads: keeps downloaded files between runs.
            of: folder of the LM that this one is made from, None for most sources.

        Returns:
            what the manifest should say beyond the config.

        Raises:
            ShiftScopeError: the source cannot deliver; names the cause and the fix.
        """


class LmSlice(Strict):
    """The slice of the config of a language model: its name, and its source with its kind."""

    lm: str
    source: dict[str, Any]


class LmManifest(TypedDict, total=False):
    """`manifest.json` of a language model (docs/file-formats.md)."""

    lm: str
    source: dict[str, Any]
    untrained_of: str | None
    seed: int | None
    architecture: str
    d_model: int
    n_layers: int
    vocabulary: int
    files: dict[str, str]
    corpus: str
    corpus_sha256: str
    quality: dict[str, dict[str, Any]]
    loss: float


def fetch_lm(lm: str, source: dict[str, Any], folder: Path, downloads: Path, of: Path | None) -> None:
    """Fill `folder` with the language model called `lm`; its manifest is written last.

    Everything is made in a folder beside it and then moved, so a killed run leaves the old LM or none, never a mix.

    Raises:
        ShiftScopeError: the source cannot deliver; names the cause and the fix.
    """
    from pydantic import ValidationError

    given = dict(source)
    kind = kinds.load("lms", str(given.pop("kind", "")))
    if not issubclass(kind, Fetched):
        raise ShiftScopeError(f"LM {lm!r} is not fetched but made here: scripts/train_lm.py trains one")
    try:
        checked = kind.model_validate(given)
    except ValidationError as error:
        raise ShiftScopeError(f"source of LM {lm!r}: {error}") from error
    with fresh(folder) as partial:
        facts = checked.fetch(partial, downloads=downloads, of=of)
        finish(lm, source, partial, folder, facts)


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, in which it is made; gone at the end, whatever happens."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def finish(lm: str, source: dict[str, Any], partial: Path, folder: Path, facts: dict[str, Any]) -> None:
    """Move what was made in `partial` to `folder`, and write the manifest, with `facts`, last."""
    manifest: LmManifest = {
        "lm": lm,
        "source": source,
        "untrained_of": None,
        "seed": None,
        **facts,
        **describe(partial),
    }
    install(partial, folder)
    manifest["files"] = {file.name: sha256_of(file) for file in files_of(folder)}
    write_json(folder / MANIFEST, manifest)


def describe(folder: Path) -> dict[str, Any]:
    """Architecture and sizes of the language model in `folder`, from its config; its tokenizer must load, too.

    Raises:
        ShiftScopeError: transformers does not know the architecture without running the folder's own code, cannot read the
            config or the tokenizer, or makes another tokenizer of it than its file describes.
    """
    quiet_libraries()
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ShiftScopeError(
            f"transformers cannot read this model's config or tokenizer ({error}): use a model whose architecture "
            "transformers knows; code that comes with a model is never run"
        ) from error
    check_token_ids(folder, tokenizer)
    check_architecture(config)
    text = config.get_text_config()
    return {
        "architecture": (config.architectures or [config.model_type])[0],
        "d_model": text.hidden_size,
        "n_layers": text.num_hidden_layers,
        "vocabulary": text.vocab_size,
    }


def check_architecture(config: Any) -> None:
    """Refuse what is not a causal language model with plain weights.

    Raises:
        ShiftScopeError: an encoder-decoder, an architecture without an unembedding, or a quantised checkpoint.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    name = (config.architectures or [config.model_type])[0]
    if config.is_encoder_decoder:
        raise ShiftScopeError(
            f"{name} is an encoder-decoder, whose encoder reads a text from both ends: use a causal (decoder-only) LM"
        )
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ShiftScopeError(f"{name} is no causal language model: use one (transformers: AutoModelForCausalLM)")
    quantised = getattr(config, "quantization_config", None)
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised.quant_method
        raise ShiftScopeError(
            f"the weights of this {name} are quantised ({getattr(method, 'value', method)}): use the checkpoint that they "
            "were made from with a 16-bit dtype, or a GGUF file, which is dequantised when it is fetched"
        )


def files_of(folder: Path) -> list[Path]:
    """The model's own files in `folder`: weights, config and tokenizer, sorted by name."""
    return sorted({file for pattern in (*WEIGHTS, *SMALL_FILES) for file in folder.glob(pattern)})


def adopt(source: Path, folder: Path, weights: bool = True) -> None:
    """Take over the Hugging Face folder `source`: its small files are copied, its weights linked, not copied.

    The links are relative, so that a project that is moved together with its models stays whole.

    Raises:
        ShiftScopeError: `source` lacks a config, a tokenizer, or safetensors weights (all shards of the index).
    """
    if not source.is_dir():
        raise ShiftScopeError(f"{source} is not a folder: give the path of a Hugging Face folder")
    small = sorted({file for pattern in SMALL_FILES for file in source.glob(pattern)})
    names = {file.name for file in small}
    if "config.json" not in names and (source / "adapter_config.json").exists():
        raise ShiftScopeError(
            f"{source} is an adapter (LoRA), not a model: merge it once into its base model (peft: merge_and_unload) and "
            "save that"
        )
    if "config.json" not in names:
        raise ShiftScopeError(f"{source} has no config.json: give the path of a Hugging Face folder")
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"}:
        raise ShiftScopeError(f"{source} has no tokenizer: save one there with tokenizer.save_pretrained(…)")
    for file in small:
        with atomic(folder / file.name) as temporary:
            shutil.copyfile(file, temporary)
    if weights:
        for file in _weights_of(source):
            target = os.path.relpath(file.resolve(), folder.resolve())
            (folder / file.name).symlink_to(target)


def _weights_of(source: Path) -> list[Path]:
    found = sorted({file for pattern in WEIGHTS for file in source.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in found):
        raise ShiftScopeError(
            f"{source} has no model*.safetensors: convert its weights once with "
            "AutoModelForCausalLM.from_pretrained(…).save_pretrained(…); other formats are not read"
        )
    index = source / "model.safetensors.index.json"
    if index.exists():
        shards = set(read_json(index)["weight_map"].values())
        missing = sorted(shards - {file.name for file in found})
        if missing:
            raise ShiftScopeError(f"{source} lacks {', '.join(missing)}, which its index names: complete the folder")
    return found


def install(partial: Path, folder: Path) -> None:
    """Move the files of `partial` to `folder`, and remove what an earlier LM left there.

    Raises:
        ShiftScopeError: a weight link points into `folder` itself, whose file it would replace.
    """
    new = files_of(partial)
    for file in new:
        if file.is_symlink() and file.resolve().parent == folder.resolve():
            raise ShiftScopeError(f"{folder} is both the source and the result: move the original elsewhere")
    folder.mkdir(parents=True, exist_ok=True)
    for old in [folder / MANIFEST, *files_of(folder)]:
        old.unlink(missing_ok=True)
    for file in new:
        if not file.is_symlink():
            file.chmod(0o644)  # safetensors writes files that only their owner may read
        file.replace(folder / file.name)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    if (partial / CHECKPOINTS).is_dir():
        (partial / CHECKPOINTS).replace(folder / CHECKPOINTS)


def read_manifest(folder: Path) -> LmManifest:
    """The manifest of the language model in `folder`.

    Raises:
        ShiftScopeError: there is none, so the LM was not fetched to the end.
    """
    if not (folder / MANIFEST).exists():
        raise ShiftScopeError(f"{folder} has no {MANIFEST}: fetch the LM first (scripts/fetch_lm.py)")
    return read_json(folder / MANIFEST)


def quiet_libraries() -> None:
    """Keep the progress bars of transformers and huggingface_hub off logs and pipes: they are for terminals."""
    if sys.stderr.isatty():
        return
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is first imported
    from huggingface_hub.utils import disable_progress_bars
    from transformers.utils import logging

    disable_progress_bars()
    logging.disable_progress_bar()
