"""Training a small GPT-NeoX by next-token prediction: tokenizer, windows, steps, checkpoints."""

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from shiftscope.corpora._grammars import grammar_of
from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, read_json, read_parquet
from shiftscope.lms._quality import beginnings, check, law_of, learned
from shiftscope.lms.base import CHECKPOINT_FILE, CHECKPOINTS, LmSlice, finish, fresh
from shiftscope.lms.train import Train
from shiftscope.training.checkpoint import cosine, load_optimiser, optimiser_tensors

if TYPE_CHECKING:
    from transformers import GPTNeoXForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
logger = logging.getLogger(__name__)
START = "<|endoftext|>"
"""the token before every document; it is put before every text that is tokenized"""
BETAS = (0.9, 0.98)
LOG_STEPS = 100


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> "PreTrainedTokenizerFast":
    """Byte-level BPE, words told apart by spaces alone, so that with enough vocabulary every word is one token.

    Raises:
        ShiftScopeError: a word of the corpus is more than one token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=1, special_tokens=[START], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    known = tokenizer.get_vocab()
    words = {word for text in texts for word in text.split()}
    split = sorted(word for word in words if len(tokenizer.encode(word).tokens) > 1)
    if split:
        raise ShiftScopeError(
            f"{len(split)} words of the corpus are more than one token ({', '.join(split[:5])}): raise `vocabulary`"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A {START} $B", special_tokens=[(START, known[START])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=START, unk_token=START)


def windows(documents: Sequence[Sequence[int]], start: int, size: int) -> np.ndarray:
    """Token ids `[windows, size]`: each begins with a document and is filled up with more, the last one cut.

    A document that is longer than a window is cut as well. `start` stands before every document.
    """
    rows: list[list[int]] = [[]]
    for document in documents:
        if len(rows[-1]) >= size:
            rows[-1] = rows[-1][:size]
            rows.append([])
        rows[-1] += [start, *document]
    whole = [row[:size] for row in rows if len(row) >= size]
    if not whole:
        raise ShiftScopeError(f"the corpus does not fill one window of {size} tokens: give it more documents")
    return np.array(whole, np.int64)


def new_model(params: Train, vocabulary: int) -> "GPTNeoXForCausalLM":
    """GPT-NeoX with Pythia's choices (rotary on a quarter of each head, parallel residual, untied), drawn from the seed."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=vocabulary, hidden_size=params.d_model, num_hidden_layers=params.n_layers,
        num_attention_heads=params.n_heads, intermediate_size=4 * params.d_model, max_position_embeddings=params.window,
        rotary_pct=0.25, use_parallel_residual=True, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
        attention_dropout=0.0, hidden_dropout=0.0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return GPTNeoXForCausalLM(config)


def rate(step: int, params: Train) -> float:
    """The learning rate: linear warm-up, then a cosine down to zero."""
    if step < params.warmup:
        return params.lr * (step + 1) / params.warmup
    way = (step - params.warmup) / max(1, params.steps - params.warmup)
    return params.lr * cosine(way)


def batches(rows: int, params: Train, step: int) -> Iterator[np.ndarray]:
    """Row numbers of each batch from `step` on: every epoch a new order, which the seed fixes."""
    per_epoch = max(1, rows // params.batch_size)
    while step < params.steps:
        order = np.random.default_rng([params.seed, step // per_epoch]).permutation(rows)
        for batch in range(step % per_epoch, min(per_epoch, step % per_epoch + params.steps - step)):
            yield order[batch * params.batch_size :][: params.batch_size]
            step += 1


def train_lm(
    model: "GPTNeoXForCausalLM", data: np.ndarray, params: Train, kept: Path, state: Path | None, seconds: float = 20
) -> list[float]:
    """Minimise the cross-entropy of every next token in `data` `[windows, tokens]`; returns the loss of each step, in nats.

    The weights at the steps of `params.checkpoints` go to `kept`. With a `state` folder the training is saved there
    every `seconds`, and a killed one goes on from there to the same bits.
    """
    optimiser = torch.optim.AdamW(model.parameters(), betas=BETAS, weight_decay=params.weight_decay)
    saved = state / "training.safetensors" if state else None
    losses: list[float] = []
    if saved and saved.exists():
        losses = _resume(model, optimiser, saved)
        logger.info("resumed at step %d of %d", len(losses), params.steps)
    kept.mkdir(parents=True, exist_ok=True)
    model.train()
    told = time.monotonic()
    bar = tqdm(total=params.steps, initial=len(losses), desc="train LM", unit="step", leave=False)
    for rows in batches(len(data), params, len(losses)):
        if len(losses) in params.checkpoints:
            keep(model, kept, len(losses))
        for group in optimiser.param_groups:
            group["lr"] = rate(len(losses), params)
        ids = torch.from_numpy(data[rows])
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        bar.update()
        if not math.isfinite(losses[-1]):
            raise ShiftScopeError(f"the language model's training diverged at step {len(losses)}: lower `lr`")
        if len(losses) % LOG_STEPS == 0:
            logger.info("step %d of %d: loss %.4f nats", len(losses), params.steps, float(np.mean(losses[-LOG_STEPS:])))
        if saved and time.monotonic() - told > seconds:
            _save(model, optimiser, losses, saved)
            told = time.monotonic()
    bar.close()
    if saved:
        _save(model, optimiser, losses, saved)
    model.eval()
    return losses


def keep(model: "GPTNeoXForCausalLM", folder: Path, step: int) -> None:
    """Write the weights at one step."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(folder / CHECKPOINT_FILE.format(step=step)) as temporary:
        save_file(tensors, temporary, {"format": "pt"})


def kept_steps(folder: Path) -> list[int]:
    """The steps whose weights were kept in the folder of a trained language model, in order."""
    return sorted(int(file.stem.removeprefix("step_")) for file in (folder / CHECKPOINTS).glob("step_*.safetensors"))


def at_step(model: "PreTrainedModel", folder: Path, step: int) -> "PreTrainedModel":
    """The model with the weights that it had at one of the `kept_steps`."""
    model.load_state_dict(load_file(folder / CHECKPOINTS / CHECKPOINT_FILE.format(step=step)))
    return model


def _save(model: "GPTNeoXForCausalLM", optimiser: torch.optim.Optimizer, losses: list[float], path: Path) -> None:
    tensors = {f"weight.{name}": tensor.detach() for name, tensor in model.state_dict().items()}
    tensors |= optimiser_tensors("adam", optimiser)
    with atomic(path) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, {"losses": json.dumps(losses)}
        )


def _resume(model: "GPTNeoXForCausalLM", optimiser: torch.optim.Optimizer, path: Path) -> list[float]:
    from safetensors import safe_open

    tensors = load_file(path)
    model.load_state_dict({name[7:]: tensor for name, tensor in tensors.items() if name.startswith("weight.")})
    load_optimiser("adam", optimiser, tensors)
    with safe_open(path, framework="pt") as opened:
        return json.loads(opened.metadata()["losses"])


def train_from_corpus(
    asked: LmSlice, documents: Path, corpus_manifest: Path, folder: Path, state: Path, seconds: float
) -> None:
    """Train a language model on a corpus, measure what of the grammar it has learned, and write its folder and manifest.

    Args:
        asked: the LM's name and sizes.
        documents: the corpus, and `corpus_manifest` beside it.
        corpus_manifest: see `documents`.
        folder: is made, manifest last.
        state: where the training is saved; removed in the end.
        seconds: least time between two checkpoints.

    Raises:
        ShiftScopeError: the training diverged, a concept is worth nothing to the next word, or the LM has learned too little
            of one.
    """
    sizes = Train(**{key: value for key, value in asked.source.items() if key != "kind"})
    corpus = read_json(corpus_manifest)
    grammar = grammar_of(corpus)
    pairs = beginnings(grammar, corpus["null"])  # before the training, which takes minutes: they may be missing
    texts = read_parquet(documents, columns=["text"])["text"].to_pylist()
    tokenizer = train_tokenizer(texts, sizes.vocabulary)
    ids = [one.ids for one in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    model, kept = new_model(sizes, len(tokenizer)), state / CHECKPOINTS
    losses = train_lm(model, windows(ids, tokenizer.bos_token_id, sizes.window), sizes, kept, state, seconds)

    quality = learned(pairs, corpus["null"], law_of(model, tokenizer, grammar.vocabulary()))
    check(quality, sizes.gate, asked.lm)
    with fresh(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        shutil.copytree(kept, partial / CHECKPOINTS)
        facts = {"corpus": corpus["corpus"], "corpus_sha256": corpus["sha256"], "quality": quality,
                 "loss": sum(losses[-LOG_STEPS:]) / len(losses[-LOG_STEPS:])}  # fmt: skip
        finish(asked.lm, asked.source, partial, folder, facts)
    shutil.rmtree(state, ignore_errors=True)
