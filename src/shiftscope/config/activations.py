"""What an entry of `activations` must agree on with the corpora, language models and variants of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shiftscope.config.sections import READ, DatasetEntry, SimulationEntry, StoreEntry, section_of
from shiftscope.config.study import Study
from shiftscope.errors import ShiftScopeError, unknown
from shiftscope.vocabulary import CHECKPOINT, MAPPED
from shiftscope.workflow.paths import AT


def check_store(name: str, entry: StoreEntry, entries: dict[str, dict[str, Any]], origin: str) -> None:
    """The corpus, language models and variants of an entry of `activations` must exist.

    Raises:
        ShiftScopeError: one does not, or its language model has no activations of its own.
    """
    place = f"{origin}: activations.{name}"
    if entry.corpus not in entries["corpora"]:
        raise ShiftScopeError(f"{place}.corpus: {unknown(repr(entry.corpus), entry.corpus, entries['corpora'])}")
    read = [lm for lm, found in entries["lms"].items() if found.kind not in (MAPPED, CHECKPOINT)]
    of_codes = [variant for some in entry.codes.values() for variant in some or []]
    for key, listed, allowed in (
        ("lms", entry.lms, read),
        ("variants", entry.variants or [], entries["variants"]),
        ("codes", of_codes, entries["variants"]),
    ):
        for other in listed:
            if other not in allowed:
                raise ShiftScopeError(f"{place}.{key}: {unknown(repr(other), other, allowed)}")


def activations_problems(study: Study) -> Iterator[str]:
    """Whatever of a whole config does not fit its activations, each a line that says what to change."""
    yield from _wrong_readers(study)
    yield from _idle_stores(study)
    yield from _what_does_not_fit(study)


def _wrong_readers(study: Study) -> Iterator[str]:
    """Variants that a dataset lists, or that are there, though nothing gives them what they read."""
    reads = {name: section_of(entry.params.reads) for name, entry in study.variants.items()}
    for section in ("pairs", "synthetic", "simulations", "activations"):
        wanted = "pairs" if section == "synthetic" else section
        for place, variant in _listed(section, getattr(study, section)):
            if reads[variant] != wanted:
                yield f"{place}: {_wrong_reader(variant, wanted, reads)}"
    for name, section in reads.items():
        if section != "pairs" and not getattr(study, section):
            yield f"variants.{name} learns from {READ[section]}, and `{section}` has no entry: add one, or leave {name} out"


def _listed(
    section: str, entries: Mapping[str, DatasetEntry | SimulationEntry | StoreEntry]
) -> Iterator[tuple[str, str]]:
    """Every variant that a dataset lists, after the place where it stands."""
    for name, entry in entries.items():
        lists = {"variants": entry.variants} | {f"codes.{size}": some for size, some in (entry.codes or {}).items()}
        yield from ((f"{section}.{name}.{key}", variant) for key, some in lists.items() for variant in some or [])


def _wrong_reader(variant: str, wanted: str, reads: dict[str, str]) -> str:
    able = ", ".join(name for name, section in reads.items() if section == wanted) or "none"
    return (
        f"{variant!r} learns from {READ[reads[variant]]}, and these are {READ[wanted]}: of the variants that take them there "
        f"are {able}"
    )


def _idle_stores(study: Study) -> Iterator[str]:
    """A store on which nothing is trained, though there are autoencoders: lists leave none in common."""
    if not any(entry.params.reads == "activations" for entry in study.variants.values()):
        return  # the activations alone are wanted
    for lm, name in study.stores():
        for codes in study.codes(lm, name):
            if AT not in lm and not study.variants_on(lm, name, codes):
                yield (
                    f"no variant is left to train on activations.{name} by {lm} with {codes} codes: the `variants` of the two, "
                    "`codes` and the variants' own `datasets` leave none in common; add one"
                )


def _what_does_not_fit(study: Study) -> Iterator[str]:
    """Settings that the code size or the number of vectors cannot have."""
    for lm, name in study.streamed_on():
        for codes in study.codes(lm, name):
            for variant in study.variants_on(lm, name, codes):
                yield from _of_variant(study, variant, name, codes)


def _of_variant(study: Study, variant: str, name: str, codes: int) -> Iterator[str]:
    entry = study.activations[name]
    most = entry.windows["train"] * (entry.window - 1)  # every window has a separator
    for setting in study.variants[variant].settings:
        if problem := setting.misfit(codes):
            yield f"variants.{variant} on activations.{name} with {codes} codes: {problem}"
        if setting.batch_size > most:
            yield (
                f"variants.{variant}.batch_size: {setting.batch_size} is more than the {most} vectors that activations.{name} "
                "has at most to train on: lower it, or raise `tokens`"
            )
