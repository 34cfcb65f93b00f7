"""The types of a config's sections, as users write them."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from shiftscope.kinds import LARGEST, Strict, UserPath
from shiftscope.lms.base import Source
from shiftscope.pairs.base import PairDataset
from shiftscope.simulations.base import Simulation
from shiftscope.synthetic.base import Law
from shiftscope.variants.base import Variant

KEYS = {
    "corpora": "kind", "lms": "source", "pairs": "kind", "synthetic": "kind", "simulations": "kind", "variants": "kind"
}  # fmt: skip
"""sections whose entries are classes found by name (packages of the same name), and the key that names one"""
DEFAULT_KIND = {"synthetic": "linear_shifts", "simulations": "latent_dag"}
"""else an entry without that key is of the kind that it is called"""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LONGEST_NAME = 64
"""characters; names are parts of file names"""
REPETITION = re.compile(r"(.+)\1{9,}")
"""Snakemake takes a name that repeats itself for a sign of endless recursion, and leaves it out"""
MOST_SEEDS, MOST_SETTINGS = 1000, 500
"""in all blocks together; in the grid of one variant"""
DEVICE_MAP = re.compile(r"auto|balanced|balanced_low_0|sequential|cpu|cuda(:\d+)?")
DEVICE = re.compile(r"cpu|disk|cuda(:\d+)?")


def _each_once(values: list) -> list:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is listed twice: list it once")
    return values


def _without_zero(doses: list[float]) -> list[float]:
    if 0 in doses:
        raise ValueError("dose 0, the unsteered model, is always measured: leave it out")
    return doses


def _blocks(blocks: list[Any]) -> list[str]:
    names = [str(block) for block in blocks]
    count = Counter(seed for block in names for seed in seeds_of(block))
    if count.total() > MOST_SEEDS:
        raise ValueError(f"{count.total()} seeds are too many: at most {MOST_SEEDS} in all blocks together")
    twice = sorted(seed for seed in count if count[seed] > 1)
    if twice:
        raise ValueError(f"seed {twice[0]} is in two blocks: write each seed once")
    return names


Blocks = Annotated[list[Any], Field(min_length=1), AfterValidator(_blocks)]
Names = Annotated[list[str], AfterValidator(_each_once)]
Selected = Annotated[Names, Field(min_length=1)]
Size = Annotated[int, Field(ge=1, le=100_000)]
Sizes = Annotated[list[Size], Field(min_length=1), AfterValidator(_each_once)]
Doses = Annotated[list[float], Field(min_length=1), AfterValidator(_each_once), AfterValidator(_without_zero)]
SIZES = TypeAdapter(Sizes)


def _by_variant(codes: Any) -> Any:
    """Code sizes as a block: for each the variants that have it, None for all."""
    if isinstance(codes, dict):
        return {size: None if some == "all" else some for size, some in codes.items()}
    return codes if codes is None else dict.fromkeys(SIZES.validate_python(codes))


SizesByVariant = Annotated[dict[Size, Selected | None], Field(min_length=1), BeforeValidator(_by_variant)]


LAYER = r"^(final_norm|resid_post\.\d+)$"


def _layer(name: str) -> str:
    if not re.fullmatch(LAYER, name):
        raise ValueError("a layer is final_norm, or resid_post.L for the residual stream after block L, counted from 0")
    return name


Layer = Annotated[str, AfterValidator(_layer), WithJsonSchema({"type": "string", "pattern": LAYER})]


class KindEntry(Strict):
    """An entry of a section: its kind, and what the kind's own class takes."""

    kind: str
    params: Any

    @property
    def dump(self) -> dict[str, Any]:
        """All parameters, defaults included, as JSON values."""
        return self.params.model_dump(mode="json")


class PosteriorEntry(Strict):
    """How a language model that was trained on a grammar is compared with what the grammar says of concepts (docs/theory.md).

    `contexts` are drawn beginnings of documents; `joint` are sets of concepts whose joint log-posterior is tested, beside that
    of every concept by itself.
    """

    contexts: int = Field(2000, ge=200, le=20_000)
    joint: list[Annotated[Names, Field(min_length=2)]] = Field(default_factory=list)
    seed: int = Field(0, ge=0)


class CausalEntry(Strict):
    """How a language model is steered by the vectors of every variant (docs/theory.md).

    `datasets` are those of pairs whose vectors steer, all if None; `others` those in whose pairs a vector should change
    nothing but its own concept. `pairs` are the most of a concept that choose, and that are scored; of a model that learned from
    a grammar `written` texts are judged by it for each vector, of which `samples` are shown.
    """

    datasets: Selected | None = None
    variants: Selected | None = None
    others: Names = Field(default_factory=list)
    doses: Doses = Field([0.5, 1.0, 1.5, 2.0])
    pairs: int = Field(24, ge=4, le=1000)
    written: int = Field(12, ge=1, le=10_000)
    samples: int = Field(2, ge=0, le=100)
    seed: int = Field(0, ge=0)


class LmEntry(KindEntry):
    """A language model, where its activation is read, and what is done with it.

    Of several `layers` the main one is `layer` if it is given, else the first; further layers take the variants that
    `layer_variants` lists, or only the first. An untrained twin that names no layer is read where its LM is.
    """

    params: Source
    layer: Layer | None = None
    layers: Annotated[list[Layer], AfterValidator(_each_once)] = Field(default_factory=list)
    layer_variants: Selected | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    batch_tokens: int = Field(2048, ge=1)
    device_map: str | dict[str, int | str] | None = None
    variants: Selected | None = None
    pairs: Names | None = Field(None, description="datasets of pairs that it reads, all if none are named; [] for none")
    posterior: PosteriorEntry | None = Field(None, description="compare it with the exact log-posterior of its grammar")
    causal: CausalEntry | None = Field(None, description="steer it by every variant's vectors")

    @field_validator("device_map", mode="before")
    @classmethod
    def _devices(cls, given: Any) -> Any:
        def is_device(device: Any) -> bool:
            return device >= 0 if type(device) is int else bool(DEVICE.fullmatch(str(device)))

        by_module = isinstance(given, dict) and given and all(map(is_device, given.values()))
        named = isinstance(given, str) and DEVICE_MAP.fullmatch(given)
        if given is None or named or by_module:
            return given
        raise ValueError(
            "it must be auto, balanced, balanced_low_0, sequential, cpu or cuda, or a block of `module: device` lines, "
            "a device being the number of a GPU, cpu or disk"
        )


class DatasetEntry(KindEntry):
    """A dataset of text pairs or a synthetic one, and the code sizes trained on it.

    `codes` is `[27, 135]`, or `{27: all, 135: [ssae, affine]}` where a size is for some variants only.
    """

    params: PairDataset | Law
    codes: SizesByVariant | None = None
    variants: Selected | None = None


class PairsEntry(DatasetEntry):
    """A dataset of text pairs.

    With `choose_codes` the number of codes is chosen among `codes` without labels (docs/own-pairs.md); else the first is the main
    one, of which vectors are exported. `embedded_with` is a dataset in whose job it is embedded, which saves loading language models; a change of either embeds
    both again, and trains again what learns from them.
    """

    params: PairDataset
    choose_codes: bool = False
    embedded_with: str | None = None


class SimulationEntry(KindEntry):
    """Simulated worlds, and the networks trained in them.

    `codes` are the widths of their representations. `seeds` are those of the networks in every world, by default one: worlds
    differ by themselves.
    """

    params: Simulation
    codes: SizesByVariant = Field(default_factory=lambda: {256: None})
    variants: Selected | None = None
    seeds: Blocks = Field(default_factory=lambda: ["0"])


class BehaviourEntry(Strict):
    """What is measured of a language model's answers to a dataset's held-out questions while it is steered.

    `doses` are multiples of the exported vectors, 0 is always among them; `random` is how many draws of random
    directions stand beside each variant. A dose is chosen among those that raise the perplexity of the texts in
    `neutral`, one a line, to at most `perplexity_rise` times that of the unsteered model.
    """

    variants: Selected | None = None
    doses: Doses = Field([-1.0, -0.5, -0.25, 0.25, 0.5, 1.0])
    random: int = Field(5, ge=2)
    all_seeds: bool = True
    questions: int | None = Field(None, ge=4)
    perplexity_rise: float = Field(1.1, ge=1)
    neutral: UserPath = Path("data/texts/neutral.txt")
    seed: int = Field(0, ge=0)


class Part(NamedTuple):
    """Windows of a corpus whose activations one job caches."""

    name: str
    split: Literal["train", "test"]
    first: int
    last: int
    """the window behind its last"""
    shards: int


class StoreEntry(Strict):
    """A corpus of which the activation of every token is cached, and what sparse autoencoders are trained on.

    `tokens` are read to train on and `held_out` of other documents, both in windows of `window` tokens, the separator
    before each document among them. `seeds` are those of its autoencoders, by default all. A part is a job's work and a
    shard a file: results depend on their sizes (a shard's vectors are in an order of its own), never on how many jobs run
    at a time.
    """

    corpus: str
    lms: Selected
    window: int = Field(128, ge=2)
    tokens: int = Field(ge=1, le=LARGEST)
    held_out: int = Field(ge=1, le=LARGEST)
    separator: str | None = None
    tokens_per_part: int = Field(1_000_000, ge=1)
    tokens_per_shard: int = Field(32_768, ge=1)
    stored: Literal["float32", "float16", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0)
    codes: SizesByVariant
    variants: Selected | None = None
    seeds: Blocks | None = None

    @field_validator("tokens", "held_out", "tokens_per_part", "tokens_per_shard")
    @classmethod
    def _a_window_at_least(cls, tokens: int, info: ValidationInfo) -> int:
        if tokens < info.data.get("window", 0):
            raise ValueError(f"it is less than a window of {info.data['window']} tokens: raise it")
        return tokens

    @property
    def windows(self) -> dict[str, int]:
        """Whole windows of each split."""
        return {"train": self.tokens // self.window, "test": self.held_out // self.window}

    @property
    def parts(self) -> list[Part]:
        """All parts, those to train on first; those of a split are equally large, but for a window, and have as many shards."""
        found = []
        for split, windows in self.windows.items():
            count = math.ceil(windows / (self.tokens_per_part // self.window))
            edges = [windows * number // count for number in range(count + 1)]
            shards = math.ceil(windows / count / (self.tokens_per_shard // self.window))
            found += [
                Part(f"{split}_{number:04}", split, first, last, shards)
                for number, (first, last) in enumerate(itertools.pairwise(edges))
            ]
        return found


class VariantEntry(KindEntry):
    """A model variant; `settings` are the points of its grid, all with the same seeds.

    `datasets` are those that it is trained on, and `shown_in` the tables and figures that show it, all if None. One that
    names its tables is there for them alone, and no steering vectors of it are exported. `trained_with` is a variant in
    whose job it is trained, which saves a start of Python; a change of either trains both again.
    """

    params: Variant
    settings: list[Variant]
    datasets: Selected | None = None
    shown_in: Selected | None = None
    trained_with: str | None = None

    @property
    def dumps(self) -> list[dict[str, Any]]:
        """All settings as JSON values."""
        return [setting.model_dump(mode="json") for setting in self.settings]


ENTRIES: dict[str, type[KindEntry]] = {
    "corpora": KindEntry, "lms": LmEntry, "pairs": PairsEntry, "synthetic": DatasetEntry, "simulations": SimulationEntry,
    "variants": VariantEntry,
}  # fmt: skip


def own_keys(section: str) -> set[str]:
    """The keys of a section's entries that belong to none of its kinds."""
    fields = set(ENTRIES[section].model_fields) - {"kind", "params", "settings"}
    return fields | {KEYS[section]} | ({"grid"} if section == "variants" else set())


class Top(Strict):
    """The sections of a config file."""

    seeds: Blocks
    corpora: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    lms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    pairs: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    synthetic: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    simulations: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    activations: dict[str, dict[str, Any]] = Field(default_factory=dict)
    variants: dict[str, dict[str, Any] | None] = Field(min_length=1)
    behaviour: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    tables: Names = Field(default_factory=list)
    figures: Names = Field(default_factory=list)


READ = {"pairs": "pairs", "activations": "activations", "simulations": "simulated worlds"}
"""what the datasets of a section are called"""


def section_of(reads: str) -> str:
    """Where the datasets are of which a variant learns that reads these; `pairs` stands for synthetic ones, too."""
    return {"activations": "activations", "observations": "simulations"}.get(reads, "pairs")


def seeds_of(block: str) -> list[int]:
    """The seeds of one block: `"0-9"` or `"10"`.

    Raises:
        ValueError: it is neither, or an empty range.
    """
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", block)
    if not match:
        raise ValueError(f'seeds {block!r} is neither a number such as "10" nor a range such as "0-9"')
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f'seeds "{block}" ends before it begins: write "{last}-{first}"')
    if last - first >= MOST_SEEDS or last > LARGEST:
        raise ValueError(
            f'seeds "{block}" are too many or too large: at most {MOST_SEEDS} in a block, up to {LARGEST:,}'
        )
    return list(range(first, last + 1))
