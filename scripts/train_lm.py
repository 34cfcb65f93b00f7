"""Train a language model on a corpus whose grammar is known, and measure what of its concepts it has learned."""

import shutil
from pathlib import Path

from shiftscope.corpora.base import corpus_module
from shiftscope.files import read_json, read_parquet
from shiftscope.job import run, state_folder
from shiftscope.lm_quality import check, law_of, learned
from shiftscope.lm_training import new_model, train_lm, train_tokenizer, windows
from shiftscope.lms.base import finish, fresh
from shiftscope.lms.train import Params


def main(
    documents: Path,
    corpus_manifest: Path,
    words: list[Path],
    manifest: Path,
    params: dict,
    checkpoint_seconds: int = 20,
) -> None:
    sizes = Params(**{key: value for key, value in params["source"].items() if key != "kind"})
    corpus = read_json(corpus_manifest)
    state = state_folder(params, [corpus_manifest], [f"shiftscope.corpora.{corpus['kind']}"])
    texts = read_parquet(documents, columns=["text"])["text"].to_pylist()
    tokenizer = train_tokenizer(texts, sizes.vocabulary)
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    model = new_model(sizes, len(tokenizer))
    kept = state / "checkpoints"
    losses = train_lm(model, windows(ids, tokenizer.bos_token_id, sizes.window), sizes, kept, state, checkpoint_seconds)

    module = corpus_module(corpus["kind"])
    grammar = module.build(module.Params(**corpus["params"]))
    quality = learned(grammar, corpus["null"], law_of(model, tokenizer, grammar.vocabulary()))
    check(quality, sizes.gate, params["lm"])
    folder = manifest.parent
    with fresh(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        shutil.copytree(kept, partial / "checkpoints")
        facts = {"corpus": corpus["corpus"], "corpus_sha256": corpus["sha256"], "quality": quality,
                 "loss": sum(losses[-100:]) / len(losses[-100:])}  # fmt: skip
        finish(params["lm"], params["source"], partial, folder, facts)
    shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run(main)
