"""Exported vectors as other packages read them: repeng's (and llama.cpp's) control vectors, and steering-vectors' own object.

Both add a vector behind a block, so only vectors that were read there, at `resid_post.L`, can be used so. SAELens holds
autoencoders of single texts' activations; vectors learned from shifts are none, and there is nothing to write for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.files import atomic
from shiftscope.steering.apply import opened

if TYPE_CHECKING:
    import numpy as np
    from steering_vectors import SteeringVector

ARCHITECTURE = "controlvector"
"""what repeng and llama.cpp call a GGUF file of one vector per block"""


def to_gguf(vectors: str | Path, name: str, file: str | Path, model_type: str) -> None:
    """Write one vector as a control vector: `repeng.ControlVector.import_gguf(file)` reads it, and llama.cpp, but for block 0.

    Args:
        vectors: a file of exported vectors, or the folder that it lies in.
        name: which of them.
        file: to write, `….gguf`.
        model_type: of the language model, as its `config.model_type` has it, such as `llama`.

    Raises:
        ShiftScopeError: no vector has that name, or it was not read behind a block.
    """
    from gguf import GGUFWriter

    block, vector = behind_block(vectors, name)
    with atomic(file) as temporary:
        writer = GGUFWriter(temporary, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", model_type)
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", 1)
        writer.add_tensor(f"direction.{block}", vector)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def to_steering_vector(vectors: str | Path, name: str) -> SteeringVector:
    """One vector as an object of the package steering-vectors: `with vector.apply(model): …`.

    Raises:
        ShiftScopeError: as `to_gguf`; or the package is not installed.
    """
    import torch

    block, vector = behind_block(vectors, name)
    try:
        from steering_vectors import SteeringVector
    except ImportError as error:
        raise ShiftScopeError(
            "the package steering-vectors is not installed: pip install --no-deps steering-vectors"
        ) from error
    return SteeringVector({block: torch.from_numpy(vector)}, "decoder_block")


def behind_block(vectors: str | Path, name: str) -> tuple[int, np.ndarray]:
    """The block, from 0, behind which a vector was read, and the vector `[d_model]` float32.

    Raises:
        ShiftScopeError: no vector has that name, or it was read after the final norm, where no block is.
    """
    arrays, layer = opened(vectors)
    if name not in arrays:
        raise ShiftScopeError(unknown(f"vector {name!r}", name, arrays))
    if not (layer or "").startswith("resid_post."):
        raise ShiftScopeError(
            f"{name} was read at {layer or 'an unknown layer'}, and these packages add vectors behind a block: learn it with "
            "`layer: resid_post.L` of the language model in the config (make vectors: LAYER=resid_post.L)"
        )
    return int(layer.partition(".")[2]), arrays[name]
