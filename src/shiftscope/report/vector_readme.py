"""The card of steering vectors as Markdown: what stands beside the file that somebody else downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shiftscope.evaluation.vector_card_file import Diagnosis, VectorCard, VectorsCard
from shiftscope.tables.numbers import count

USE = """\
```python
import shiftscope
from transformers import AutoModelForCausalLM, AutoTokenizer

lm = "results/lms/{lm}"
tokenizer, model = AutoTokenizer.from_pretrained(lm), AutoModelForCausalLM.from_pretrained(lm)
prompt = tokenizer("The weather today is", return_tensors="pt")
with shiftscope.steer(model, "{path}", "{name}", scale=1.0):
    print(tokenizer.decode(model.generate(**prompt, max_new_tokens=20, do_sample=False)[0]))
```"""
KEPT = 25
"""characters that are shown of what two texts have in common"""
CELL = 90
"""characters of a text in a table"""


def markdown(card: VectorsCard, diagnosis: Diagnosis, vectors: Path) -> str:
    """The whole card; `vectors` is the file that it is about."""
    about = card["about"]
    parts = [
        f"# Steering vectors of {about['dataset']} on {about['lm']}",
        f"{count(len(card['vectors']), 'vector')} of {card['width']} numbers, read at `{about['layer']}`, learned by `{about['variant']}`"
        + (f": it {about['recommended']}." if about.get("recommended") else "."),
        "## What they rest on",
        rests_on(card),
        *(
            ["## Before training", listed(f"{one['sentence']} {one['advice']}" for one in diagnosis["findings"])]
            if diagnosis["findings"]
            else []
        ),
        "## Read before use",
        listed(card["caveats"]) if card["caveats"] else "Nothing was found that speaks against them.",
        "## The vectors",
        summary(card) if card["vectors"] else "No vector was exported: no code is used by enough of the shifts.",
        *(one_vector(one) for one in card["vectors"]),
    ]
    if card["vectors"]:
        use = USE.format(
            lm=about["lm"],
            path=vectors.parent,
            name=next(iter(card["about"]["correlations"]), card["vectors"][0]["name"]),
        )
        parts += ["## Use", use]
    return "\n\n".join(parts) + "\n"


def rests_on(card: VectorsCard) -> str:
    """How many rows were used, and how they were split."""
    facts, counts = card["manifest"], card["manifest"]["counts"]
    columns = facts.get("text_columns")
    lines = [
        f"{counts['train']} pairs to learn from and {counts['test']} held out ({counts['test'] / (counts['train'] + counts['test']):.0%}); "
        f"the largest group has {count(card['largest_group'], 'row')}.",
        f"{facts['rejected']} of {facts.get('rows', '?')} rows were left out.",
        *facts.get("rejected_reasons", []),
        *([f"From `{columns[0]}` to `{columns[1]}`, {read_as(facts)}."] if columns else []),
    ]
    return listed(lines)


def read_as(facts: Any) -> str:
    """What the language model read."""
    return "chat messages, joined by the model's own template" if facts.get("chat") else f"as `{facts['template']}`"


def listed(lines: Any) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def summary(card: VectorsCard) -> str:
    """One row a vector, and what stands beside them."""
    head = "| vector | pairs | its code goes its way, held out | along it, all held out | same from other seeds | cosine to mean difference | KL removed at 1 | mean difference | first PC | random (largest) | perplexity at 1 |"
    rows = [head, "|---|" + "---:|" * 10]
    for one in card["vectors"]:
        rivals = {rival["name"]: rival for rival in one["rivals"]}
        others = [rivals.get(name, {}).get("removed") for name in ("mean difference", "first principal component")]
        random = next((rival["largest"] for rival in one["rivals"] if rival["largest"] is not None), None)
        cells = [
            named(one["name"], card["about"]["correlations"]),
            str(one["pairs"]),
            share(one["forward_held_out"]) + f" of {one['carriers']}",
            share(one["along"]),
            plain(one["stability"]),
            plain(one["to_mean"]),
            share(one["removed"]["1.0"]) + ("" if one["removed_error"] is None else f" ± {one['removed_error']:.0%}"),
            *map(share, others),
            share(random),
            price(one["perplexity"]["1.0"]),
        ]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    note = (
        "KL removed: while the model reads a pair's first text the vector is added; of the divergence of the next token's law from the one "
        "after the second text, the share that this removes, on a sample of held-out pairs that carry the vector and go its way "
        "(below 0 it grows). Beside it other directions of the same length on the same pairs: the vector's own choice, which favours it. Perplexity: of neutral texts, against unsteered."
    )
    return "\n".join(rows) + "\n\n" + note


def one_vector(one: VectorCard) -> str:
    """All that is known of one vector."""
    shown = [(*differing(pair["text_0"], pair["text_1"]), pair["times"]) for pair in one["strongest"]]
    pairs = "\n".join(f"| {cell(first)} | {cell(second)} | {times:.1f} |" for first, second, times in shown)
    doses = "\n".join(
        f"| {dose} | {share(one['removed'][dose])} | {price(one['perplexity'][dose])} |" for dose in one["removed"]
    )
    near = ", ".join(f"{name} {cosine:.2f}" for name, cosine in one["near"][:4]) or "there is no other"
    return "\n\n".join(
        [
            f"### {one['name']}",
            f"Length {one['length']:.2f}; {one['energy']:.0%} of the training shifts' energy lies along it; {one['forward']:.0%} of the "
            f"{one['pairs']} training pairs that carry it go its way, by its code. Cosines to the others: {near}.",
            f"Raises {tokens(one['raises'])}; lowers {tokens(one['lowers'])}.",
            f"| from | to | lengths |\n|---|---|---:|\n{pairs}",
            f"| scale | KL removed | perplexity |\n|---:|---:|---:|\n{doses}",
        ]
    )


def named(name: str, correlations: dict[str, float]) -> str:
    """A vector's name, with the correlation that gave it that."""
    return name if name not in correlations else f"{name} (r {correlations[name]:.2f})"


def differing(first: str, second: str) -> tuple[str, str]:
    """Two texts without a long beginning that both have, of which the end is kept."""
    common = next(
        (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    start = max(0, common - KEPT) if common > CELL // 2 else 0
    return ("…" * bool(start)) + first[start:], ("…" * bool(start)) + second[start:]


def tokens(names: list[str]) -> str:
    """Tokens as they can be read."""
    return ", ".join(f"`{name.strip() or repr(name)[1:-1]}`".replace("|", "\\|") for name in names)


def cell(text: str) -> str:
    """A text in a table."""
    plain_text = " ".join(text.split()).replace("|", "\\|")
    return plain_text if len(plain_text) <= CELL else plain_text[:CELL] + "…"


def share(value: float | None) -> str:
    """A share, or a dash."""
    return "–" if value is None else f"{value:.0%}"


def plain(value: float | None) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def price(value: float | None) -> str:
    """A multiple of the unsteered perplexity, or a dash."""
    return "–" if value is None else f"× {value:.3g}"
