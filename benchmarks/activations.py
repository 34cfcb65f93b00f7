"""What caching costs beside reading, and what a store costs beside memory.

`python benchmarks/activations.py [--windows 48] [--repeats 5]` makes a Llama of random weights (d 576, 30 blocks) and random
windows of 128 tokens. In turn, on one thread: a plain forward pass over them without the unembedding, and the same windows
cached as shards (their digests among it). Then batches of 2048 vectors of the store and of an array in memory, each with
the same step of a small dictionary. It prints medians and ratios: tokens per second of caching over a plain pass, and
steps per second from the store over those from memory.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from shiftscope.activations import every_token
from shiftscope.activations.every_token import CacheSlice, Reader
from shiftscope.activations.store import Store, write_shard
from shiftscope.activations.windows import NOWHERE, Windows
from shiftscope.files import sha256_of, write_json

WINDOW, WIDTH, BATCH_TOKENS, BATCH, FEATURES = 128, 576, 2048, 2048, 1152


def made_up(count: int) -> tuple[LlamaForCausalLM, Windows]:
    """A language model and windows of random tokens, each beginning with a separator."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=4096, hidden_size=WIDTH, intermediate_size=1536, num_hidden_layers=30,
                         num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=2048)  # fmt: skip
    token = np.random.default_rng(0).integers(3, 4096, (count, WINDOW), np.int32)
    document = np.repeat(np.arange(count, dtype=np.int32)[:, None], WINDOW, 1)
    document[:, 0] = NOWHERE
    return LlamaForCausalLM(config).eval(), Windows(
        token, document, np.broadcast_to(np.arange(WINDOW, dtype=np.int32), token.shape)
    )


def seconds(work: Callable[[], None]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def plain(model: LlamaForCausalLM, windows: Windows) -> None:
    """Read all windows and keep nothing."""
    with torch.inference_mode():
        for start in range(0, len(windows.token), BATCH_TOKENS // WINDOW):
            model.model(input_ids=torch.tensor(windows.token[start : start + BATCH_TOKENS // WINDOW].astype(np.int64)))


def cached(reader: Reader, windows: Windows, folder: Path) -> None:
    """Read all windows into a store of two shards."""
    half, shards = len(windows.token) // 2, []
    for number, rows in enumerate((slice(0, half), slice(half, None))):
        chunk = reader.read(Windows(*(column[rows] for column in windows)), number * half)["final_norm"]
        write_shard(folder / f"{number}.arrow", chunk, "float32")
        shards.append(
            {"file": f"{number}.arrow", "rows": len(chunk.token), "sha256": sha256_of(folder / f"{number}.arrow")}
        )
    shape = {"train": [sum(shard["rows"] for shard in shards), WIDTH]}
    write_json(folder / "manifest.json", {"stored": "float32", "shape": shape, "shards": {"train": shards}})


def steps(batches: Iterator[np.ndarray], number: int) -> None:
    """So many steps of a dense autoencoder."""
    weights = torch.nn.Parameter(torch.randn(FEATURES, WIDTH) / WIDTH**0.5)
    adam = torch.optim.Adam([weights], lr=1e-3)
    for batch in itertools.islice(batches, number):
        inputs = torch.from_numpy(batch)
        loss = (torch.relu(inputs @ weights.T) @ weights - inputs).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()


def from_memory(every: np.ndarray) -> Iterator[np.ndarray]:
    """Batches of an array, an epoch a permutation."""
    for epoch in itertools.count():
        order = np.random.default_rng(epoch).permutation(len(every))
        for start in range(0, len(every) - BATCH + 1, BATCH):
            yield every[order[start : start + BATCH]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.windows * (WINDOW - 1) < BATCH:
        parser.error(f"--windows: {options.windows} windows have fewer vectors than a batch of {BATCH}")
    torch.set_num_threads(1)
    model, windows = made_up(options.windows)
    every_token.load = lambda *given: (model, None)
    asked = CacheSlice(lm="made_up", dataset="made_up", split="train", first=0, last=options.windows, dtype="float32",
                       batch_tokens=BATCH_TOKENS, stored="float32", seed=0)  # fmt: skip
    reader = Reader(Path(), asked, ["final_norm"], WINDOW, windows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reading, caching, store_steps, memory_steps = [], [], [], []
        for _ in range(options.repeats):
            reading.append(seconds(lambda: plain(model, windows)))
            caching.append(seconds(lambda: cached(reader, windows, folder)))
        store = Store(folder / "manifest.json")
        every = np.concatenate([chunk.activations for chunk in store.chunks("train")])
        for _ in range(options.repeats):
            store_steps.append(seconds(lambda: steps(store.batches(BATCH, 0), 20)))
            memory_steps.append(seconds(lambda: steps(from_memory(every), 20)))
    tokens = windows.token.size
    for what, these, others in (
        ("caching over a plain forward pass", caching, reading), ("training from the store over from memory", store_steps, memory_steps)
    ):  # fmt: skip
        ratio = statistics.median(other / one for one, other in zip(these, others, strict=True))
        print(f"{what}: {ratio:.3f} ({statistics.median(these):.2f} s against {statistics.median(others):.2f} s)")
    print(f"{tokens / statistics.median(caching):.0f} tokens/s cached, {store.rows()} vectors of {store.d}")


if __name__ == "__main__":
    main()
