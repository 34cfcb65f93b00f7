"""Embed both texts of every pair with a language model: the last token's activation at one layer."""

import shutil
from pathlib import Path

from shiftscope.embeddings import embed, labels
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, sha256_of, write_json, write_tensors
from shiftscope.job import run, state_folder
from shiftscope.lms.load import load


def main(pairs: Path, pairs_manifest: Path, lm_manifest: Path, embeddings: Path, manifest: Path, params: dict) -> None:
    import pyarrow.parquet

    if params["token"] != "last":
        raise ShiftScopeError(f"token {params['token']!r} is unknown: allowed is last")
    state = state_folder(params, [pairs, pairs_manifest, lm_manifest], [])
    facts, lm = read_json(pairs_manifest), read_json(lm_manifest)
    table = pyarrow.parquet.read_table(pairs)
    texts = [*table["text_0"].to_pylist(), *table["text_1"].to_pylist()]
    model, tokenizer = load(lm_manifest.parent, params["dtype"])
    rows = embed(
        model,
        tokenizer,
        texts,
        params["layer"],
        batch_tokens=params["batch_tokens"],
        state=state,
        progress=f"{params['lm']} reads {params['dataset']}",
        name=lambda index: f"{pairs} row {index % len(table)}, text_{index // len(table)}",
    )
    arrays = labels(table, facts["truths"])
    arrays |= {"embedding_0": rows[None, : len(table)], "embedding_1": rows[None, len(table) :]}
    about = {"lm": params["lm"], "untrained_of": lm["untrained_of"], "layer": params["layer"], "token": params["token"],
             "dtype": params["dtype"], "shape": list(arrays["embedding_0"].shape)}  # fmt: skip
    write_tensors(embeddings, arrays, about)
    write_json(manifest, {**facts, **about, "sha256": sha256_of(embeddings)})
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
