"""A fetched language model, ready to run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of
from shiftscope.lms.base import quiet_libraries, read_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load(folder: Path, dtype: str = "float32") -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The model in evaluation mode, on the GPU if there is one, and the tokenizer of the LM in `folder`.

    The weights of an untrained twin are drawn here, on the CPU and in float32, so that a seed means the same weights
    on every device and in every dtype.

    Raises:
        ShiftScopeError: the folder is incomplete, its files are not those of its manifest, or do not fit together.
    """
    quiet_libraries()
    import torch
    from transformers import AutoTokenizer

    manifest = read_manifest(folder)
    verify(folder, manifest["files"])
    draw = manifest["untrained_of"] is not None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = untrained(folder, manifest["seed"]) if draw else trained(folder, getattr(torch, dtype))
    except (OSError, ValueError, RuntimeError) as error:
        raise ShiftScopeError(
            f"cannot load the LM in {folder} ({error}): delete the folder and fetch it again"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device=device, dtype=getattr(torch, dtype)).eval(), tokenizer


def verify(folder: Path, files: dict[str, str]) -> None:
    """Compare the files of `folder` with their digests: linked weights may have changed behind the link.

    Raises:
        ShiftScopeError: a file is missing or has changed; names it.
    """
    for name, digest in files.items():
        file = folder / name
        if not file.exists():
            target = f" (a link to {file.readlink()})" if file.is_symlink() else ""
            raise ShiftScopeError(f"{file}{target} is missing: restore it, or delete {folder} and fetch the LM again")
        if sha256_of(file) != digest:
            raise ShiftScopeError(f"{file} has changed since it was fetched: delete {folder} and fetch the LM again")


def trained(folder: Path, dtype: Any) -> "PreTrainedModel":
    """The model with its stored weights.

    Raises:
        ShiftScopeError: the weights lack parameters of the architecture.
    """
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:5])
        raise ShiftScopeError(f"the weights in {folder} lack {missing}: they belong to another config; fix the folder")
    return model


def untrained(folder: Path, seed: int) -> "PreTrainedModel":
    """The model with weights that its architecture's own initialisation draws from `seed`; global RNG untouched."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
