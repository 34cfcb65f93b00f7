"""What a language model has learned of a grammar's concepts, measured on the next token, not by probes.

A probe's accuracy saturates long before a model has learned what needs attention (`docs/grammar.md`). So: take two
beginnings of a document that differ in one concept and whose last word is the same, so that only attention can tell
them apart, and compare the model's law of the next word with the exact one,

    learned = 1 - Σ KL(p₁ ‖ q(x₁)) / Σ KL(p₁ ‖ p₀),

where p₀, p₁ are the exact laws after both beginnings and q the model's. 1: the concept's whole effect was learned; 0: no
better than taking the concept for the other value.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shiftscope.errors import ShiftScopeError
from shiftscope.generative.grammar import END, Grammar

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EFFECT = 0.05
"""nats by which two laws must differ before a pair of beginnings can tell anything"""


class Beginnings(NamedTuple):
    """Two beginnings of a document that differ in one concept, and the exact laws of the word that follows."""

    texts: tuple[list[str], list[str]]
    laws: tuple[dict[str, float], dict[str, float]]


def counterfactuals(grammar: Grammar, concept: str, number: int, seed: int, null: bool = False) -> list[Beginnings]:
    """Pairs of beginnings, at most `number`, cut where the last word is the same and the exact laws differ.

    Of a NULL concept, whose laws never differ, those that contain its word.
    """
    found: list[Beginnings] = []
    generator = random.Random(f"{concept} {seed}")
    values = grammar.concepts[concept].values
    for _ in range(100 * number):
        if len(found) == number:
            break
        two, key = generator.sample(values, 2), generator.random()
        first, second = (grammar.sample(random.Random(key), {concept: value})[0] for value in two)
        differ = [place for place, words in enumerate(zip(first, second, strict=False)) if words[0] != words[1]]
        ends = range(differ[0] + 2, min(len(first), len(second)) + 1) if differ else range(0)
        ends = [end for end in ends if first[end - 1] == second[end - 1]]
        if not ends:
            continue
        end = generator.choice(ends)
        pair = Beginnings(
            (first[:end], second[:end]), (grammar.next_words(first[:end]), grammar.next_words(second[:end]))
        )
        if null or divergence(pair.laws[1], pair.laws[0]) > EFFECT:
            found.append(pair)
    return found


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


def learned(
    grammar: Grammar, null: Sequence[str], law: Law, number: int = 60, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """For each concept: `learned` (above) and `effect`, the mean of KL(p₁ ‖ p₀) in nats, over `pairs` beginnings.

    For a NULL concept `effect` is that of the model, KL(q(x₁) ‖ q(x₀)), where the exact one is 0; `learned` is absent.
    """
    result: dict[str, dict[str, Any]] = {}
    for concept in grammar.concepts:
        pairs = counterfactuals(grammar, concept, number, seed, concept in null)
        if not pairs:
            continue
        said = [law([pair.texts[side] for pair in pairs]) for side in (0, 1)]
        if concept in null:
            effect = [divergence(one, other) for other, one in zip(*said, strict=True)]
            result[concept] = {"pairs": len(pairs), "effect": float(np.mean(effect))}
            continue
        effect = [divergence(pair.laws[1], pair.laws[0]) for pair in pairs]
        error = [divergence(pair.laws[1], one) for pair, one in zip(pairs, said[1], strict=True)]
        result[concept] = {
            "pairs": len(pairs), "effect": float(np.mean(effect)), "learned": float(1 - np.sum(error) / np.sum(effect)),
        }  # fmt: skip
    return result


def check(quality: Mapping[str, Mapping[str, Any]], gate: float, lm: str) -> None:
    """Refuse a language model that has not learned its grammar.

    Raises:
        ShiftScopeError: of a concept less than `gate` was learned; names all such.
    """
    poor = {name: round(found["learned"], 2) for name, found in quality.items() if found.get("learned", 1) < gate}
    if poor:
        raise ShiftScopeError(
            f"LM {lm} has learned too little of its concepts' effect on the next word ({poor}, gate {gate}): raise "
            "`steps` or `d_model`, or lower `gate`"
        )
