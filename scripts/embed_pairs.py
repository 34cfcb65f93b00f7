"""Embed both texts of every pair with a language model: the last token's activation, at one or several layers."""

import shutil
from pathlib import Path

from shiftscope.embeddings import check_layers, embed_layers, labels
from shiftscope.errors import ShiftScopeError
from shiftscope.files import read_json, read_parquet, sha256_of, write_json, write_tensors
from shiftscope.job import run, state_folder
from shiftscope.lms.load import load


def main(
    pairs: Path,
    pairs_manifest: Path,
    lm_manifest: Path,
    layers: list[str],
    embeddings: list[Path],
    manifest: list[Path],
    params: dict,
) -> None:
    if params["token"] != "last":
        raise ShiftScopeError(f"token {params['token']!r} is unknown: allowed is last")
    state = state_folder(params | {"layers": layers}, [pairs, pairs_manifest, lm_manifest], [])
    facts, lm = read_json(pairs_manifest), read_json(lm_manifest)
    check_layers(layers, lm["n_layers"])
    table = read_parquet(pairs)
    texts = [*table["text_0"].to_pylist(), *table["text_1"].to_pylist()]
    model, tokenizer = load(lm_manifest.parent, params["dtype"], params.get("device_map"))
    rows = embed_layers(
        model,
        tokenizer,
        texts,
        layers,
        batch_tokens=params["batch_tokens"],
        state=state,
        progress=f"{params['lm']} reads {params['dataset']}",
        name=lambda index: f"{pairs} row {index % len(table)}, text_{index // len(table)}",
    )
    common = labels(table, facts["truths"])
    for layer, tensors, beside in zip(layers, embeddings, manifest, strict=True):
        arrays = common | {
            "embedding_0": rows[layer][None, : len(table)],
            "embedding_1": rows[layer][None, len(table) :],
        }
        about = {"lm": params["lm"], "untrained_of": lm["untrained_of"], "layer": layer, "token": params["token"],
                 "dtype": params["dtype"], "shape": list(arrays["embedding_0"].shape)}  # fmt: skip
        write_tensors(tensors, arrays, about)
        write_json(beside, {**facts, **about, "sha256": sha256_of(tensors)})
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
