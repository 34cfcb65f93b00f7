"""A fetched language model, ready to run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftscope.errors import ShiftScopeError
from shiftscope.files import sha256_of, shown_bytes
from shiftscope.lms.base import quiet_libraries, read_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


DeviceMap = str | dict[str, int | str]


def load(
    folder: Path, dtype: str = "float32", device_map: DeviceMap | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The model in evaluation mode and the tokenizer of the LM in `folder`.

    The model is on the GPU if there is one. With a `device_map`, as transformers and accelerate know it, it is spread
    over devices while it is loaded: never whole on one, and what is mapped to `disk` stays in the safetensors files
    until it is computed.

    The weights of an untrained twin are drawn here, on the CPU and in float32, so that a seed means the same weights
    on every device and in every dtype. So a twin must fit into the memory once.

    Raises:
        ShiftScopeError: the folder is incomplete, its files are not those of its manifest, or do not fit together; the
            model does not fit into the memory; the device map names a module or device that is not there.
    """
    quiet_libraries()
    import torch
    from transformers import AutoTokenizer

    manifest = read_manifest(folder)
    verify(folder, manifest["files"])
    draw = manifest["untrained_of"] is not None
    check_devices(device_map, torch.cuda.device_count())
    if isinstance(device_map, dict):
        check_device_map(folder, device_map, draw)
    kind = getattr(torch, dtype)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = cast(untrained(folder, manifest["seed"]), kind) if draw else trained(folder, kind, device_map)
        if device_map is None:
            model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        elif draw:
            model = dispatched(model, device_map)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise ShiftScopeError(explain(folder, error)) from error
    return model.eval(), tokenizer


def explain(folder: Path, error: Exception) -> str:
    """One line for a model that could not be loaded: the cause and the fix."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return (
            f"the LM in {folder} does not fit into the GPU's memory: give it a 16-bit dtype, or `device_map: auto`, which "
            "spreads it over all GPUs, the memory and the disk"
        )
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return (
            f"the LM in {folder} does not fit into the memory: give it a 16-bit dtype, or a device_map that leaves some of "
            "it on the `disk`"
        )
    return f"cannot load the LM in {folder} ({error}): delete the folder and fetch it again"


def check_room(folder: Path) -> None:
    """See that the weights fit into half of the free memory in float32.

    Raises:
        ShiftScopeError: they do not.
    """
    import torch

    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if torch.cuda.is_available():
        free = torch.cuda.mem_get_info()[0]
    if 2 * weights > free / 2:  # stored in 16 bits they are half as large
        raise ShiftScopeError(f"the model in float32 may not fit into the memory ({shown_bytes(free)} are free)")


def check_devices(device_map: DeviceMap | None, gpus: int) -> None:
    """Compare the devices of a map with those of this machine.

    Raises:
        ShiftScopeError: it names a GPU that is not there.
    """
    for device in device_map.values() if isinstance(device_map, dict) else [device_map]:
        number = device if isinstance(device, int) else str(device).partition("cuda:")[2] or 0
        if (isinstance(device, int) or str(device).startswith("cuda")) and int(number) >= gpus:
            raise ShiftScopeError(
                f"device_map names GPU {number}, counted from 0, but PyTorch sees {gpus} here: name one that is there, or "
                "auto"
            )


def check_device_map(folder: Path, device_map: dict[str, int | str], draw: bool) -> None:
    """Compare a device map with the parameters of the architecture, without making them.

    Raises:
        ShiftScopeError: it names what the model does not have, leaves out what it has, or maps a twin to the disk.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if draw and "disk" in device_map.values():
        raise ShiftScopeError(
            f"the untrained twin in {folder} is drawn in memory, so none of it can be mapped to the disk: map it to cpu"
        )
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    modules = {name for name, _ in model.named_modules()}
    for name in sorted(device_map.keys() - modules):
        tops = ", ".join(sorted(name for name in modules if name and name.count(".") < 2))
        raise ShiftScopeError(f"device_map: the LM in {folder} has no module {name!r}: it has {tops}")
    for name, _ in model.named_parameters():
        if not any(key == "" or name.startswith(f"{key}.") for key in device_map):
            raise ShiftScopeError(f"device_map says nothing of {name}, which the LM in {folder} has: add a line for it")


def cast(model: "PreTrainedModel", dtype: Any) -> "PreTrainedModel":
    """Convert the weights, as transformers does when it loads them.

    `model.to(dtype)` would also round the frequencies of rotary positions, which are no weights and stay in float32.
    """
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
    return model


def dispatched(model: "PreTrainedModel", device_map: DeviceMap) -> "PreTrainedModel":
    """Spread a model that is in memory over devices."""
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(model._no_split_modules or ())  # the blocks: their residual connections must not cross devices
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        memory = None
        if device_map != "sequential":
            low = device_map == "balanced_low_0"
            memory = get_balanced_memory(model, no_split_module_classes=whole, low_zero=low)
        device_map = infer_auto_device_map(model, max_memory=memory, no_split_module_classes=whole)
    elif isinstance(device_map, str):
        device_map = {"": device_map}
    return dispatch_model(model, device_map, skip_keys=model._skip_keys_device_placement)


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


def trained(folder: Path, dtype: Any, device_map: DeviceMap | None) -> "PreTrainedModel":
    """The model with its stored weights, loaded one by one to where `device_map` wants them.

    Raises:
        ShiftScopeError: the weights lack parameters of the architecture.
    """
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map=device_map,
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
