"""Questions with answers in the words of the tiny language models."""

import json
from pathlib import Path

COLORS = ["red", "blue", "green", "king", "queen", "roi", "reine", "vase", "book", "lamp"]


def question(number: int) -> dict:
    """A question on one word, whose right answers are three others; wrong ones are shared by all questions."""
    right = [f"the {COLORS[(number + step) % 10]}" for step in (1, 2, 3)]
    wrong = ["a word", "one object is one color", "in a shape"]
    return {
        "question": f"the word {COLORS[number % 10]} is {'the ' * (number // 10)}in the object",
        "mc0_targets": {right[0]: 1, wrong[0]: 0},
        "mc1_targets": {right[0]: 1} | dict.fromkeys(wrong, 0),
        "mc2_targets": dict.fromkeys(right, 1) | dict.fromkeys(wrong, 0),
    }


def save(path: Path, entries: object) -> Path:
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries), encoding="utf-8")
    return path
