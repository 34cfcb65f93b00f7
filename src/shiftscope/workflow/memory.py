"""How much memory the jobs of sparse autoencoders take, in MB, as their rules declare it.

Each is a little more than what was measured (tests/workflow/test_memory.py): Python with its libraries, what is computed,
and what of the files is mapped into memory, which a system may take back if it must.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shiftscope.lms.base import LmManifest
from shiftscope.variants.base import Streamed

LIBRARIES = 700
"""MB of Python with PyTorch and transformers, and a reserve"""
MARGIN = 1.1
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def parameters(folder: Path, about: LmManifest) -> int:
    """Numbers in the weights of a language model's folder; where it has none (a twin's), an estimate by its sizes."""
    total = 0
    for file in folder.glob("model*.safetensors"):
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        total += sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return total or 2 * about["vocabulary"] * about["d_model"] + 16 * about["n_layers"] * about["d_model"] ** 2


def lm_mb(manifest: Path, dtype: str) -> int:
    """MB of a language model while it is loaded: its file, which is mapped, and its weights in the type that is asked for.

    Raises:
        FileNotFoundError: the manifest is not there yet, so Snakemake asks again.
    """
    about: LmManifest = json.loads(manifest.read_text(encoding="utf-8"))
    numbers = parameters(manifest.parent, about)
    drawn = 4 * numbers if about["untrained_of"] else 0  # a twin's are drawn in float32
    mapped = sum(file.stat().st_size for file in manifest.parent.glob("model*.safetensors"))
    return round((mapped + drawn + BYTES[dtype] * numbers) / 1e6)


def caching_mb(manifest: Path, dtype: str, batch_tokens: int, layers: int, tokens_per_shard: int) -> int:
    """MB of a job that caches activations: the language model, a batch in it, and a shard of every layer in float32.

    Raises:
        FileNotFoundError: as `lm_mb`.
    """
    d = json.loads(manifest.read_text(encoding="utf-8"))["d_model"]
    vectors = 4 * d * ((layers + 3) * tokens_per_shard + 20 * batch_tokens)
    return round(LIBRARIES + MARGIN * (lm_mb(manifest, dtype) + vectors / 1e6))


def steering_mb(manifest: Path, dtype: str, pairs: int) -> int:
    """MB of a job that steers a language model: the model, and logits of some forty sets of `pairs` texts in float32.

    Raises:
        FileNotFoundError: as `lm_mb`.
    """
    vocabulary = json.loads(manifest.read_text(encoding="utf-8"))["vocabulary"]
    return round(2 * LIBRARIES + MARGIN * (lm_mb(manifest, dtype) + 100 * 4 * pairs * vocabulary / 1e6))


def training_mb(manifest: Path, settings: Sequence[Streamed], seeds: int, n_codes: int) -> int:
    """MB of a job that trains autoencoders: of every replica weights, gradient and two moments; a batch's codes; shards.

    Models that are kept are on the disk, and one is read at a time. A batch of one replica is computed at a time, in some twenty
    arrays of batch × F.

    Args:
        manifest: that of the store.
        settings: the points of a variant's grid.
        seeds: how many of each are trained.
        n_codes: code size F.

    Raises:
        FileNotFoundError: as `lm_mb`.
    """
    from shiftscope.activations.store import OPEN_SHARDS

    facts: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    d = facts["shape"]["train"][1]
    weights = 4 * d * n_codes * max(setting.matrices for setting in settings)
    batch = 4 * max(setting.batch_size for setting in settings) * (20 * n_codes + 4 * d)
    rows = sorted((shard["rows"] for shard in facts["shards"]["train"]), reverse=True)[: 2 * OPEN_SHARDS]
    mapped = sum(rows) * d * BYTES[facts["stored"]]
    return round(LIBRARIES + MARGIN * (4 * weights * len(settings) * seeds + 4 * weights + batch + mapped) / 1e6)
