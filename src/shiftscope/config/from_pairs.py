"""`make vectors PAIRS=my_pairs.csv`: a config for somebody's own pairs, written where it can be read, changed and run again.

It only writes the file; `snakemake vectors --configfile …` does the rest. So whoever wants more codes, labels or another layer
edits it, and nothing that is still valid is computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError, nearest
from shiftscope.files import write_text
from shiftscope.vocabulary import CHECKPOINT, MAPPED, TRAINED, UNTRAINED

FOLDER = Path("work/vectors")
MARK = "# as it was written: sha256 "
"""what stands before the digest of the rest, by which an edit is told"""
SIZES = [1, 2, 3, 4, 6]
"""numbers of codes among which one is chosen without labels"""
VARIANTS: dict[str, dict[str, Any]] = {
    "ssae": {"grid": {"shrinkage": [0, 0.1, 1]}},
    "shared": {"trained_with": "ssae"},
    "shift_mixture": {"trained_with": "ssae"},
    "pca": {"trained_with": "ssae"},
}
HEAD = """\
# yaml-language-server: $schema=../../config/schema.json
# Written by `make vectors`; edit it and run
#   make run TARGET=vectors CONFIG={path}
# or `snakemake vectors --cores all --configfile {path}`. A section given here replaces the one of config.yaml;
# docs/own-pairs.md says what a dataset of pairs may have: labels, groups, a template, a fixed number of codes.
"""


def config_of(
    pairs: list[str], lm: str, known: dict[str, Any], given: dict[str, str], codes: list[int]
) -> dict[str, Any]:
    """The sections of the config.

    Args:
        pairs: files, a pattern, or the folder of a dataset.
        lm: the name of a language model of config.yaml, a Hugging Face folder, or a GGUF file.
        known: the language models of config.yaml, as it has them.
        given: keys of the dataset beside its path, such as text_0, text_1, template; `layer` is the language model's.
        codes: numbers of codes: one fixes it, among several it is chosen.

    Raises:
        ShiftScopeError: there is no such language model.
    """
    name, entry = _lm(lm, known)
    params = {key: value for key, value in given.items() if value}
    if "layer" in params:  # a name of its own, so that vectors of several layers stand beside each other
        entry = {key: value for key, value in entry.items() if key != "layers"} | {"layer": params.pop("layer")}
        name = f"{name}_{entry['layer']}"
    if "template" in params:
        params["template"] = params["template"].replace("\\n", "\n")
    if "concepts" in params:
        params["concepts"] = [one.strip() for one in params["concepts"].split(",")]
    dataset = {"kind": "own", "path": pairs[0] if len(pairs) == 1 else pairs, **params}
    dataset |= {"codes": codes} | ({"choose_codes": True} if len(codes) > 1 else {})
    labels = {"mean_difference": {"trained_with": "ssae"}} if "concepts" in params else {}
    return {
        "corpora": {}, "lms": {name: entry}, "pairs": {_name(pairs[0]): dataset}, "synthetic": {}, "simulations": {},
        "activations": {}, "behaviour": {}, "variants": VARIANTS | labels, "tables": ["table_a2"],
        "figures": ["figure_codes"] if len(codes) > 1 else [],
    }  # fmt: skip


def _lm(lm: str, known: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    path = Path(lm).expanduser()
    made_here = (UNTRAINED, MAPPED, CHECKPOINT, TRAINED)
    if lm in known and known[lm].get("source") not in made_here:
        keep = {"posterior", "causal", "variants", "pairs", "layer_variants"}
        return lm, {key: value for key, value in known[lm].items() if key not in keep}
    own = f"{_name(lm)}_own" if _name(lm) in known else _name(lm)
    if path.is_dir():
        return own, {"source": "folder", "path": str(path)}
    if path.suffix == ".gguf":
        return own, {"source": "gguf", "path": str(path)}
    usable = [name for name, entry in known.items() if entry.get("source") not in made_here]
    near = nearest(lm, usable)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ShiftScopeError(
        f"LM={lm} is neither a language model of config.yaml ({', '.join(usable)}) nor a Hugging Face folder nor a GGUF file{hint}"
    )


SUFFIXES = r"\.(csv|tsv|tab|psv|txt|json|jsonl|ndjson|parquet|gguf|gz|zst|bz2|xz)$"


def _name(path: str) -> str:
    """What a dataset or language model is called after its file, without what its kind adds: letters, digits, `_`, `-` and `.`."""
    stem = Path(path).name or Path(path).parent.name
    while re.search(SUFFIXES, stem, re.IGNORECASE):
        stem = re.sub(SUFFIXES, "", stem, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("_-.")[:40] or "my_pairs"


def _codes(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")] if text else SIZES
    except ValueError:
        raise ShiftScopeError(f"CODES={text} must be a number, or several with commas: CODES=4, CODES=2,4,8") from None


def _written(sections: dict[str, Any]) -> Path:
    """The config's path, where it stands now; one that somebody has edited is never overwritten.

    Raises:
        ShiftScopeError: another stands there.
    """
    ((dataset, entry),) = sections["pairs"].items()
    path = FOLDER / f"{dataset}.yaml"
    body = yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=120)
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    kept = old.partition(MARK)[2]
    edited = bool(old) and hashlib.sha256(kept[64 + 1 :].encode()).hexdigest() != kept[:64]
    other = old and not edited and yaml.safe_load(old)["pairs"][dataset]["path"] != entry["path"]
    if edited or other:
        why = "was edited" if edited else "is for another file of that name"
        raise ShiftScopeError(
            f"{path} {why}: run it as it is (make run TARGET=vectors CONFIG={path}), or delete it first"
        )
    write_text(path, f"{HEAD.format(path=path)}{MARK}{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
    return path


def main() -> None:
    """Write the config, say what it holds, and print its path on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", required=True)
    parser.add_argument(
        "--after", default="", help="of two files whose lines belong together, the one with the texts after"
    )
    parser.add_argument("--lm", default="smollm2_135m")
    parser.add_argument("--codes", default="")
    for key in ("text-0", "text-1", "group", "concepts", "template", "encoding", "layer"):
        parser.add_argument(f"--{key}", default="")
    arguments = vars(parser.parse_args())
    pairs, after, lm, codes = (arguments.pop(key) for key in ("pairs", "after", "lm", "codes"))
    try:
        base = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
        sections = config_of([*pairs, *([after] if after else [])], lm, base["lms"], arguments, _codes(codes))
        for entry in parse_config(base | sections).pairs.values():
            entry.params.user_files  # noqa: B018 (says at once if nothing fits a pattern)
        path = _written(sections)
    except ShiftScopeError as error:
        print(f"vectors: {error}", file=sys.stderr)
        sys.exit(1)
    chosen = (
        ""
        if len(sections["figures"]) == 0
        else f", the number of codes chosen among {', '.join(map(str, _codes(codes)))}"
    )
    print(f"vectors of {', '.join(pairs)} on {next(iter(sections['lms']))}{chosen}: {path}", file=sys.stderr)
    print(path)


if __name__ == "__main__":
    main()
