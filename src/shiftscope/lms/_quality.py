"""What a language model has learned of a grammar's concepts, measured on the next token, not by probes.

A probe's accuracy saturates long before a model has learned what needs attention (`docs/grammar.md`). So: take two
beginnings of a document that differ in one concept and whose last word is the same, so that only attention can tell
them apart, and compare the model's law of the word after the second with the exact one,

    learned = 1 - Σ KL(p₁ ‖ q(x₁)) / Σ KL(p₁ ‖ p),

where p₁ is the exact law, q the model's, and p the marginal one: what is known of the next word by all but the concept.
1: the concept's whole effect was learned; 0: no better than not knowing the concept at all; less: worse than that.

The other value's law would be no scale: what is impossible there costs whatever number stands for log 0, and any model
that mixes both looks almost perfect.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.generative.grammar import END, Grammar

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EFFECT = 0.05
"""nats that knowing the concept must be worth before a pair of beginnings can tell anything"""


class Beginnings(NamedTuple):
    """Two beginnings of a document that differ in one concept, and laws of the word that follows the second."""

    texts: tuple[list[str], list[str]]
    law: dict[str, float]
    """the exact one"""
    marginal: dict[str, float]
    """the one where the concept is not known"""
    same_word: bool
    """whether both end in the same word; else in the word that tells the concept"""


def counterfactuals(grammar: Grammar, concept: str, number: int, seed: int, null: bool = False) -> list[Beginnings]:
    """Pairs of beginnings, at most `number`, that end in the same word and whose next word the concept changes.

    A concept that changes only the word right after its own has none such: its beginnings end in the word that tells
    it, and attention is not needed. Of a NULL concept, which changes nothing, those that contain its word.
    """
    for same_word in (True, False):
        pairs = _pairs(grammar, concept, 100 * number, seed, same_word)
        telling = (pair for pair in pairs if null or divergence(pair.law, pair.marginal) > EFFECT)
        found = list(itertools.islice(telling, number))
        if found:
            return found
    return []


def _pairs(grammar: Grammar, concept: str, tries: int, seed: int, same_word: bool) -> Iterator[Beginnings]:
    """Beginnings of documents that differ as little as the grammar lets them."""
    generator = random.Random(f"{concept} {seed}")
    values = grammar.concepts[concept].values
    for _ in range(tries):
        two, key = generator.sample(values, 2), generator.random()
        first, second = (_document(grammar, concept, value, key) for value in two)
        differ = [place for place, words in enumerate(zip(first, second, strict=False)) if words[0] != words[1]]
        ends = range(differ[0] + 1, min(len(first), len(second)) + 1) if differ else range(0)
        ends = [end for end in ends if first[end - 1] == second[end - 1]] if same_word else ends[:1]
        if not ends:
            continue
        end = generator.choice(ends)
        texts = {value: _document(grammar, concept, value, key)[:end] for value in values}
        texts = {value: text for value, text in texts.items() if len(text) == end}
        if same_word:  # it rules values out that say another one there
            texts = {value: text for value, text in texts.items() if text[-1] == second[end - 1]}
        law = grammar.next_words(second[:end])
        yield Beginnings((first[:end], second[:end]), law, marginal(grammar, concept, texts), same_word)


def _document(grammar: Grammar, concept: str, value: str, key: float) -> list[str]:
    """The words of the document that `key` draws when the concept has this value."""
    return grammar.sample(random.Random(key), {concept: value})[0]


def marginal(grammar: Grammar, concept: str, texts: Mapping[str, list[str]]) -> dict[str, float]:
    """The law of the next word for who knows only that a document begins like one of `texts`, one per value of a concept.

    It is the mixture of the exact laws, by the concept's exact posterior after the words with which all of them begin.
    """
    columns = zip(*texts.values(), strict=True)
    shared = [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]
    posterior = grammar.posterior(shared, [concept])
    total = sum(posterior[value,] for value in texts)
    law: dict[str, float] = {}
    for value, text in texts.items():
        for word, p in grammar.next_words(text).items():
            law[word] = law.get(word, 0.0) + posterior[value,] / total * p
    return law


def divergence(exact: Mapping[str, float], other: Mapping[str, float], least: float = 1e-6) -> float:
    """KL(exact ‖ other) in nats; what `other` calls impossible counts as `least`."""
    return sum(p * np.log(p / max(other.get(word, 0.0), least)) for word, p in exact.items() if p > 0)


Law = Callable[[Sequence[list[str]]], list[dict[str, float]]]


def law_of(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", vocabulary: Sequence[str]) -> Law:
    """The model's laws of the next word after several beginnings; every word of `vocabulary` is one token."""
    import torch

    words = {tokenizer(word, add_special_tokens=False)["input_ids"][0]: word for word in vocabulary}
    words[tokenizer.eos_token_id] = END
    tokens = list(words)

    def laws(beginnings: Sequence[list[str]]) -> list[dict[str, float]]:
        found = []
        for beginning in beginnings:
            ids = torch.tensor([tokenizer(" ".join(beginning))["input_ids"]], device=model.device)
            with torch.inference_mode():
                share = model(input_ids=ids).logits[0, -1].double().softmax(0).cpu().numpy()
            found.append(dict(zip(words.values(), share[tokens].tolist(), strict=True)))
        return found

    return laws


def beginnings(grammar: Grammar, null: Sequence[str], number: int = 60, seed: int = 0) -> dict[str, list[Beginnings]]:
    """For each concept the pairs of beginnings, at most `number`, by which `learned` judges it.

    Raises:
        ShiftScopeError: a concept that is not among the NULL ones changes no next word; names it.
    """
    found = {name: counterfactuals(grammar, name, number, seed, name in null) for name in grammar.concepts}
    for name, pairs in found.items():
        if not pairs and name not in null:
            raise ShiftScopeError(
                f"concept {name}: in {100 * number} pairs of documents that differ in it, it is worth less than {EFFECT} "
                "nats to the next word, so nobody can see whether a model has learned it: let more follow from it in "
                "the grammar, or name it in the corpus's `null`"
            )
    return found


def learned(pairs: Mapping[str, Sequence[Beginnings]], null: Sequence[str], law: Law) -> dict[str, dict[str, Any]]:
    """For each concept: `learned` (above) and `effect`, the mean of KL(p₁ ‖ p) in nats, over so many `pairs`.

    `same_word` says whether attention was needed. For a NULL concept `effect` is that of the model, KL(q(x₁) ‖ q(x₀)),
    where the exact one is 0; `learned` is absent.
    """
    result: dict[str, dict[str, Any]] = {}
    for concept, some in pairs.items():
        if not some:
            continue
        said = law([pair.texts[1] for pair in some])
        facts = {"pairs": len(some), "same_word": some[0].same_word}
        if concept in null:
            other = law([pair.texts[0] for pair in some])
            effect = [divergence(*laws) for laws in zip(said, other, strict=True)]
            result[concept] = facts | {"effect": float(np.mean(effect))}
            continue
        effect = [divergence(pair.law, pair.marginal) for pair in some]
        error = [divergence(pair.law, one) for pair, one in zip(some, said, strict=True)]
        share = 1 - np.sum(error) / np.sum(effect)
        result[concept] = facts | {"effect": float(np.mean(effect)), "learned": float(share)}
    return result


def check(quality: Mapping[str, Mapping[str, Any]], gate: float, lm: str) -> None:
    """Refuse a language model that has not learned its grammar.

    Raises:
        ShiftScopeError: of a concept less than `gate` was learned; names all such.
    """
    poor = {name: round(found["learned"], 3) for name, found in quality.items() if found.get("learned", 1) < gate}
    if poor:
        raise ShiftScopeError(
            f"LM {lm} has learned too little of its concepts' effect on the next word ({poor}, gate {gate}): raise "
            "`steps` or `d_model`, or lower `gate`"
        )
