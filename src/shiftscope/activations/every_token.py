"""The activation of every token of a part of a corpus, at one or several layers, as shards of a store."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from shiftscope.activations.agreement import check_lm_of_windows, check_part, check_windows
from shiftscope.activations.layers import activations, block_of, check_layers, check_model, decoder_of, first_device
from shiftscope.activations.model import load
from shiftscope.activations.store import DTYPES, Chunk, PartFacts, ShardFacts, StoreFacts, open_shard, write_shard
from shiftscope.activations.tokens import fitting
from shiftscope.activations.windows import NOWHERE, Windows, WindowsFacts, check_tokens, check_window, read_windows
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, disk_of, read_json, sha256_of, shown_bytes, write_json
from shiftscope.kinds import Strict
from shiftscope.lms.base import read_manifest
from shiftscope.vocabulary import SPLITS

logger = logging.getLogger(__name__)


class CacheSlice(Strict):
    """The slice of the config of a part: how the language model reads it, and how shards are written."""

    lm: str
    dataset: str
    split: Literal["train", "test"]
    first: int
    """the part's first window, of those of its split"""
    last: int
    """the window behind its last"""
    dtype: str
    batch_tokens: int
    device_map: str | dict[str, int | str] | None = None
    stored: str
    """the type in which vectors are kept"""
    seed: int


class Place(NamedTuple):
    """Where the shards and the manifest of a part go at one layer."""

    layer: str
    shards: list[Path]
    manifest: Path


class GatherSlice(Strict):
    """The slice of the config of a store's manifest."""

    lm: str
    layer: str
    dataset: str


def places_of(layers: Sequence[str], shards: Sequence[Path], manifests: Sequence[Path]) -> list[Place]:
    """The files of a part, all shards of a layer one after the other, by layer."""
    each = len(shards) // len(layers)
    return [
        Place(layer, list(shards[number * each : (number + 1) * each]), manifest)
        for number, (layer, manifest) in enumerate(zip(layers, manifests, strict=True))
    ]


def cache_part(
    asked: CacheSlice, places: Sequence[Place], windows: Path, windows_manifest: Path, lm: Path, state: Path
) -> None:
    """Read the windows of a part and write what every layer has at each of its tokens but the separators.

    A killed job goes on behind its last whole shard, for shards stay in `state` until all are there.

    Args:
        asked: how to read, and which windows.
        places: what to write, layer by layer.
        windows: the corpus as `write_windows` packed it.
        windows_manifest: its manifest.
        lm: the LM's folder.
        state: folder of the shards that are done; removed in the end.

    Raises:
        ShiftScopeError: an unknown layer, windows of another LM or not those of their manifest, a window longer than the
            LM reads, an activation that is not finite or too large for the stored type, a batch too large for the GPU, or
            too little room on the disk.
    """
    packed: WindowsFacts = read_json(windows_manifest)
    about = read_manifest(lm)
    check_layers([place.layer for place in places], about["n_layers"])
    check_lm_of_windows(packed, about, windows_manifest)
    check_windows(windows, packed)
    offset = packed["windows"]["train"] if asked.split == "test" else 0
    count = len(places[0].shards)
    edges = [asked.first + (asked.last - asked.first) * number // count for number in range(count + 1)]
    _check_room(asked, packed["window"] * about["d_model"], places, state)
    reader = None
    for number in tqdm(range(count), desc=f"{asked.lm} reads {asked.dataset}", unit="shard", leave=False):
        files = {place.layer: _kept(state, place.layer, number) for place in places}
        if all(file.exists() for file in files.values()):
            continue
        some = read_windows(windows, offset + edges[number], offset + edges[number + 1])
        reader = reader or Reader(lm, asked, list(files), packed["window"], some)
        for layer, chunk in reader.read(some, edges[number]).items():
            write_shard(files[layer], chunk, asked.stored)
        logger.info("%d of %d windows", edges[number + 1] - asked.first, asked.last - asked.first)
    for place in places:
        shards = [_move(_kept(state, place.layer, number), file) for number, file in enumerate(place.shards)]
        facts = PartFacts(
            layer=place.layer, stored=asked.stored, split=asked.split, d_model=shards[0][1], lm=about["lm"],
            lm_files=about["files"], windows_sha256=packed["sha256"], shards=[facts for facts, _ in shards],
        )  # fmt: skip
        write_json(place.manifest, facts)
    shutil.rmtree(state, ignore_errors=True)


def _kept(state: Path, layer: str, number: int) -> Path:
    return state / f"{layer}_{number:06}.arrow"


def _move(file: Path, target: Path) -> tuple[ShardFacts, int]:
    """Put a shard where it belongs; what its part's manifest says of it, and the width of its vectors."""
    rows, width = open_shard(file).stored.shape
    facts = ShardFacts(file=target.name, rows=rows, sha256=sha256_of(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic(target) as temporary:  # work/ and results/ are on two disks
            shutil.copyfile(file, temporary)
    return facts, width


def _check_room(asked: CacheSlice, numbers: int, places: Sequence[Place], state: Path) -> None:
    """See that the disk has room for the shards of a part that are not there yet; `numbers` are those of a window.

    Raises:
        ShiftScopeError: it has not; says how much is wanted and where.
    """
    whole = (asked.last - asked.first) * numbers * np.dtype(DTYPES[asked.stored]).itemsize * len(places)
    done = sum(file.stat().st_size for file in state.glob("*.arrow"))
    disks = {disk_of(places[0].manifest): whole} | {
        disk_of(state): whole - done
    }  # of one disk the shards are only renamed
    for (disk, free), wanted in disks.items():
        if wanted > free:
            raise ShiftScopeError(
                f"{asked.split} windows {asked.first} to {asked.last} of {asked.dataset} take {shown_bytes(wanted)}, and "
                f"{disk} has {shown_bytes(free)} left: free some space (work/state has what killed jobs left, DVC's cache older "
                "results), read fewer `tokens`, or write `stored: bfloat16`"
            )


class Reader:
    """A language model that reads windows, at some of its layers."""

    def __init__(self, lm: Path, asked: CacheSlice, layers: list[str], window: int, some: Windows) -> None:
        self.asked = asked
        self.model, _ = load(lm, asked.dtype, asked.device_map)
        check_window(self.model.config, window)
        self.vocabulary = self.model.get_input_embeddings().weight.shape[0]
        check_tokens(some.token.reshape(-1), self.vocabulary)
        check_model(self.model, layers, [some.token[0].tolist()])
        self.decoder, self.device = decoder_of(self.model), first_device(self.model)
        n_layers = self.model.config.get_text_config().num_hidden_layers
        self.blocks = {layer: block_of(self.decoder, layer, n_layers) for layer in layers}
        self.batch = max(1, asked.batch_tokens // window)

    def read(self, some: Windows, first: int) -> dict[str, Chunk]:
        """The activations of windows, `first` being the number of the first, at every layer, in a random order.

        Raises:
            ShiftScopeError: one is not finite, or the LM has no embedding for a token.
        """
        check_tokens(some.token.reshape(-1), self.vocabulary)
        kept, seed = some.document != NOWHERE, [self.asked.seed, SPLITS.index(self.asked.split), first]
        order = np.random.default_rng(seed).permutation(kept.sum())
        found: dict[str, np.ndarray] = {}
        done = 0
        for start in range(0, len(some.token), self.batch):
            rows = slice(start, start + self.batch)
            places = order[done : done + kept[rows].sum()]
            done += len(places)
            for layer, states in self._states(some.token[rows]).items():
                if not np.isfinite(states).all():
                    raise ShiftScopeError(
                        f"an activation at {layer} of windows {first + start} to {first + start + self.batch - 1} of "
                        f"{self.asked.dataset} is not finite (NaN or infinity): the LM's weights are damaged or overflow; "
                        "use `dtype: float32`, or fetch the LM again"
                    )
                every = found.setdefault(layer, np.empty((len(order), states.shape[2]), np.float32))
                every[places] = states[kept[rows]]
        back = np.argsort(order)
        where = [column[kept][back] for column in (some.document, some.position, some.token)]
        return {layer: Chunk(every, *where) for layer, every in found.items()}

    def _states(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
        import torch

        ids = torch.tensor(tokens, dtype=torch.long, device=self.device)
        with fitting(ids.numel()), torch.inference_mode():
            found = activations(self.decoder, self.blocks, ids, ids, None, last=False)
            return {layer: states.cpu().numpy() for layer, states in found.items()}


def gather(asked: GatherSlice, windows_manifest: Path, parts: Sequence[Path], lm: Path, manifest: Path) -> None:
    """Write the manifest of a store, of the manifests of its parts, in the order in which they are given.

    Raises:
        ShiftScopeError: a part is of another language model, layer or type, or of other windows.
    """
    packed: WindowsFacts = read_json(windows_manifest)
    about = read_manifest(lm)
    check_lm_of_windows(packed, about, windows_manifest)
    found: list[PartFacts] = [read_json(part) for part in parts]
    shards: dict[str, list[ShardFacts]] = {"train": [], "test": []}
    for path, part in zip(parts, found, strict=True):
        expected = {
            "lm": asked.lm, "lm_files": about["files"], "layer": asked.layer, "windows_sha256": packed["sha256"],
            "stored": found[0]["stored"], "d_model": found[0]["d_model"],
        }  # fmt: skip
        check_part(path, part, expected)
        folder = path.parent.relative_to(manifest.parent)
        shards[part["split"]] += [{**shard, "file": (folder / shard["file"]).as_posix()} for shard in part["shards"]]
    facts = StoreFacts(
        lm=about["lm"],
        untrained_of=about["untrained_of"],
        lm_source=about["source"],
        lm_files=about["files"],
        layer=found[0]["layer"],
        dataset=asked.dataset,
        corpus=packed["corpus"],
        corpus_sha256=packed["corpus_sha256"],
        windows_sha256=packed["sha256"],
        window=packed["window"],
        separator=packed["separator"],
        stored=found[0]["stored"],
        shape={split: [sum(one["rows"] for one in some), found[0]["d_model"]] for split, some in shards.items()},
        documents=packed["documents"],
        shards=shards,
    )
    write_json(manifest, facts)
