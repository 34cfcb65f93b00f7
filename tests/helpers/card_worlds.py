"""A corpus, a store, an autoencoder and words in which it is known what every latent fires on."""

import numpy as np
import pyarrow as pa
from helpers.tiny_lms import WORDS

from shiftscope.activations.store import Chunk, Store, write_arrow, write_shard
from shiftscope.evaluation.base import Trained
from shiftscope.files import sha256_of, write_json
from shiftscope.models import Model
from shiftscope.pair_embeddings import PairEmbeddings
from shiftscope.variants.p_annealing import PAnnealing

D = 32
FIRES_ON = {"royal": "king", "colour": "red", "gone": None}
"""by concept the word on whose token its latent fires; `gone` is in no text"""
PAIRS = 30


def token_of(word):
    return 3 + WORDS.index(word)


def axis_of(concept):
    """The coordinate along which a concept lies: that of its token."""
    return token_of(FIRES_ON[concept]) if FIRES_ON[concept] else D - 1


def make_text(folder, documents=12, length=20, seed=0):
    """Windows of one document each, the last four held out, and a store of one-hot activations that grow with position."""
    generator = np.random.default_rng(seed)
    token = generator.integers(3, 3 + len(WORDS), (documents, length + 1)).astype(np.int32)
    document = np.repeat(np.arange(documents, dtype=np.int32)[:, None], length + 1, 1)
    position = np.tile(np.arange(-1, length, dtype=np.int32), (documents, 1))
    token[:, 0], document[:, 0] = 2, -1
    columns = {"token": token, "document": document, "position": position}
    arrays = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(one.reshape(-1)), length + 1) for name, one in columns.items()
    }
    write_arrow(folder / "windows.arrow", arrays)
    digest = sha256_of(folder / "windows.arrow")
    held = documents - 4
    write_json(folder / "windows.json", {"windows": {"train": held, "test": 4}, "sha256": digest})
    shards, shape = {}, {}
    for split, rows in (("train", slice(0, held)), ("test", slice(held, None))):
        where = [one[rows, 1:].reshape(-1) for one in (document, position, token)]
        order = generator.permutation(len(where[0]))
        document_, position_, token_ = (one[order] for one in where)
        vectors = np.eye(D, dtype=np.float32)[token_] * (1 + position_[:, None] / 100).astype(np.float32)
        file = folder / f"{split}_0000/shard_0000.arrow"
        write_shard(file, Chunk(vectors, document_, position_, token_), "float32")
        shards[split] = [{"file": f"{split}_0000/{file.name}", "rows": len(order), "sha256": sha256_of(file)}]
        shape[split] = [len(order), D]
    facts = {"stored": "float32", "layer": "final_norm", "lm": "tiny", "untrained_of": None, "dataset": "text",
             "corpus": "words", "windows_sha256": digest, "shape": shape, "shards": shards}  # fmt: skip
    write_json(folder / "manifest.json", facts)
    return Store(folder / "manifest.json")


def make_words(concepts=tuple(FIRES_ON)):
    """Pairs whose second word is 2 further along its concept's axis, half of them held out; the text says it of the first alone."""
    generator = np.random.default_rng(1)
    n = PAIRS * len(concepts)
    concept = np.repeat(np.arange(len(concepts)), PAIRS)
    before = generator.normal(0, 0.3, (n, D))
    after = before + 2 * np.eye(D)[[axis_of(concepts[one]) for one in concept]]
    held = np.tile(np.arange(PAIRS) % 2 == 1, len(concepts))
    order = np.argsort(held, kind="stable")
    truth = np.zeros((n, len(concepts)), np.float32)
    truth[np.arange(n), concept] = 1
    facts = {"dataset": "words", "lm": "tiny", "untrained_of": None, "layer": "final_norm", "concepts": list(concepts),
             "truths": {"concepts": list(concepts)}, "primary_truth": "concepts"}  # fmt: skip
    return PairEmbeddings(
        embedding_0=before[None, order].astype(np.float32), embedding_1=after[None, order].astype(np.float32),
        split=held[order].astype(np.uint8), group=np.arange(n), concept=concept[None, order],
        sign=np.ones((1, n), np.int8), truths={"concepts": truth[None, order]}, facts=facts,
        text=np.arange(2 * n).reshape(2, n),
    )  # fmt: skip


def make_autoencoder(variant="own", seeds=(0, 1), steps=(0, 5), concepts=tuple(FIRES_ON), n_codes=6):
    """Latent 5 - i is the i-th concept's, and the others never fire; a model at every seed and step."""
    encoder = np.zeros((n_codes, D), np.float32)
    for place, concept in enumerate(concepts):
        encoder[n_codes - 1 - place, axis_of(concept)] = 1
    bias = np.full(n_codes, -0.5, np.float32)
    arrays = {"encoder": encoder, "encoder_bias": bias, "decoder": encoder, "decoder_bias": np.zeros(D, np.float32)}
    facts = {"lm": "tiny", "dataset": "text", "codes": n_codes, "variant": variant, "kind": "p_annealing"}
    setting = PAnnealing(steps=5).model_dump(mode="json")
    models = [Model(0, 0, seed, arrays, {"step": step}) for seed in seeds for step in steps]
    return Trained(facts | {"settings": [setting]}, PAnnealing, models)
