"""What rules ask of a configuration: what is trained on what, what is shown where, and what that needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from shiftscope.config.sections import (
    BehaviourEntry,
    CausalEntry,
    DatasetEntry,
    KindEntry,
    LmEntry,
    PairsEntry,
    PosteriorEntry,
    SimulationEntry,
    StoreEntry,
    VariantEntry,
    section_of,
)
from shiftscope.kinds import Strict
from shiftscope.vocabulary import CHECKPOINT, MAPPED, RECOMMENDED, SYNTHETIC, TRAINED, UNTRAINED
from shiftscope.workflow.paths import AT, at_layer, lm_of


class Study(Strict):
    """A whole configuration, every entry checked by the class of its kind, and what rules ask of it."""

    blocks: list[str]
    corpora: dict[str, KindEntry]
    lms: dict[str, LmEntry]
    pairs: dict[str, PairsEntry]
    synthetic: dict[str, DatasetEntry]
    simulations: dict[str, SimulationEntry]
    activations: dict[str, StoreEntry]
    variants: dict[str, VariantEntry]
    behaviour: dict[str, BehaviourEntry]
    tables: list[str]
    figures: list[str]

    @property
    def posterior(self) -> dict[str, PosteriorEntry]:
        """How the language models are compared with their grammar's log-posterior that are."""
        return {name: entry.posterior for name, entry in self.lms.items() if entry.posterior}

    @property
    def causal(self) -> dict[str, CausalEntry]:
        """How the language models are steered in the causal test that are."""
        return {name: entry.causal for name, entry in self.lms.items() if entry.causal}

    @property
    def resolved(self) -> dict[str, Any]:
        """The whole configuration, defaults included, as JSON values."""
        return self.model_dump(mode="json", serialize_as_any=True)

    def dataset(self, name: str) -> DatasetEntry | SimulationEntry | StoreEntry:
        """The entry of a dataset: of pairs, synthetic, simulated, or of activations."""
        found = self.pairs.get(name) or self.synthetic.get(name) or self.simulations.get(name)
        return found or self.activations[name]

    def simulated_on(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) of simulated worlds in which networks are trained, if any variant is one; the lm is `synthetic`."""
        networks = any(section_of(entry.params.reads) == "simulations" for entry in self.variants.values())
        return [(SYNTHETIC, name) for name in self.simulations] if networks else []

    def trained_on(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) that is trained on and evaluated; synthetic data have the lm `synthetic`.

        A further layer of a language model counts as a language model of its own, called `lm@layer`.
        """
        real = self._embedded(name for name in self.pairs if self.is_trained_on(name))
        return real + [(SYNTHETIC, name) for name in self.synthetic]

    def stores(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose activations are cached; a further layer is a language model of its own."""
        return [(at, name) for name, entry in self.activations.items() for lm in entry.lms for at in self.layers_of(lm)]

    def streamed_on(self) -> list[tuple[str, str]]:
        """Those of the `stores` on which a sparse autoencoder is trained."""
        return [
            place for place in self.stores() if any(self.variants_on(*place, codes) for codes in self.codes(*place))
        ]

    def described(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose autoencoders' latents have cards: where the language model reads words, too.

        Not those of an untrained twin, which are there as a control.
        """
        reads_words = {lm for lm, _ in self.words_on()}
        return [
            (lm, dataset)
            for lm, dataset in self.streamed_on()
            if lm in reads_words and self.lm(lm).kind != UNTRAINED and self.vectors_of(lm, dataset)
        ]

    def is_trained_on(self, dataset: str) -> bool:
        """Whether variants are trained on a dataset: of some kinds only if its own `variants` names them."""
        entry = self.dataset(dataset)
        return dataset not in self.pairs or entry.params.trained_by_default or bool(entry.variants)

    def words_on(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose pairs tell concepts apart: embedded whether or not anything is trained on them."""
        return self._embedded(name for name, entry in self.pairs.items() if not entry.params.trained_by_default)

    def _embedded(self, datasets: Iterable[str]) -> list[tuple[str, str]]:
        """Those of the datasets that a language model embeds, with every layer at which it is read."""
        names = list(datasets)
        readings = ((lm, reading) for lm in self.lms for reading in self.layers_of(lm))
        return [(reading, name) for lm, reading in readings for name in names if self._reads(lm, name)]

    def layers_of(self, lm: str) -> dict[str, str]:
        """What a language model is called where it is read, with the layer: `lm` itself, then `lm@layer`."""
        main, *further = self.lms[lm].layers
        return {lm: main} | {at_layer(lm, layer): layer for layer in further}

    def lm(self, reading: str) -> LmEntry:
        """The entry of the language model called `lm` or `lm@layer`."""
        return self.lms[lm_of(reading)]

    def _reads(self, lm: str, dataset: str) -> bool:
        entry = self.lms[lm]
        of_mapped = entry.kind != MAPPED or self._reads(entry.params.of, dataset)
        return dataset in ([dataset] if entry.pairs is None else entry.pairs) and of_mapped

    def needed_by(self, kind: str) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose metrics an entry of the catalogue needs; `kind` is a key of `tables.base.NEEDS`.

        Further layers and mapped embeddings are shown only by the entries that ask for them, beside what they belong to.
        """
        if kind == "saes":
            return self.streamed_on()
        if kind in ("simulations", "posterior"):
            return self.simulated_on()
        if kind == "causal":
            return [(lm, dataset) for lm in self.causal for dataset in self.causal_on(lm)]
        if kind == "words":
            return [place for place in self.words_on() if self.lm(place[0]).kind != MAPPED]
        kinds = {place: self._kind_of(*place) for place in self.trained_on()}
        if kind == "mapped":
            mapped = [place for place, found in kinds.items() if found == "mapped"]
            origins = {(self.lms[lm].params.of, name) for lm, name in mapped}
            return [place for place in kinds if place in origins or place in mapped] if mapped else []
        if kind == "known":
            return [place for place, found in kinds.items() if found == "language" and self._truth_is_known(place[0])]
        wanted = {"layers": ("language", "layers"), "all": ("language", "synthetic")}.get(kind, (kind,))
        return [place for place, found in kinds.items() if found in wanted]

    def _truth_is_known(self, lm: str) -> bool:
        entry = self.lms[lm]
        return entry.kind == TRAINED or (
            entry.kind in (UNTRAINED, CHECKPOINT) and self.lms[entry.params.of].kind == TRAINED
        )

    def _kind_of(self, lm: str, dataset: str) -> str:
        if lm == SYNTHETIC:
            return self.synthetic[dataset].params.parts
        return "layers" if AT in lm else "mapped" if self.lms[lm].kind == MAPPED else "language"

    def hidden_from(self, name: str) -> list[str]:
        """Variants that a table or figure leaves out, because they name others that show them."""
        return sorted(variant for variant, entry in self.variants.items() if name not in (entry.shown_in or [name]))

    def chooses_codes(self, dataset: str) -> bool:
        """Whether the number of codes of a dataset is chosen among several."""
        return dataset in self.pairs and self.pairs[dataset].choose_codes

    def exported_sizes(self, lm: str, dataset: str) -> list[int]:
        """The numbers of codes at which what is exported is trained: the main one, or all among which it is chosen."""
        sizes = self.codes(lm, dataset)
        return sizes if self.chooses_codes(dataset) else sizes[:1]

    def vectors_of(self, lm: str, dataset: str) -> list[str]:
        """Variants of which steering vectors can be exported: not those that are there for some tables alone."""
        sizes = self.exported_sizes(lm, dataset)
        found = dict.fromkeys(name for codes in sizes for name in self.variants_on(lm, dataset, codes))
        return [name for name in found if not self.variants[name].shown_in]

    def for_vectors(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) that is there for its steering vectors, which get a diagnosis, a card and a page."""
        return [
            place
            for place in self.exported()
            if self.pairs[place[1]].params.for_vectors and RECOMMENDED in self.exports_of(*place)
        ]

    def exports_of(self, lm: str, dataset: str) -> list[str]:
        """What steering vectors are exported of: what is recommended, if anything can be, and then every variant."""
        names = self.vectors_of(lm, dataset)
        return [RECOMMENDED] * bool(self.candidates_on(lm, dataset, self.codes(lm, dataset)[0])) + names

    def exported(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose steering vectors are exported: of language models that somebody uses.

        Neither an untrained twin nor a model that was trained here to know the truth is one; a rule can export theirs, too.
        """
        return [
            place
            for place in self.needed_by("layers")
            if self.lm(place[0]).kind not in (UNTRAINED, TRAINED, CHECKPOINT)
        ]

    def codes(self, lm: str, dataset: str) -> list[int]:
        """Code sizes k on a dataset; an untrained twin, mapped embeddings and a further layer take only the first."""
        entry = self.dataset(dataset)
        sizes = list(entry.codes or []) or [entry.params.n_varying]
        return sizes[:1] if lm != SYNTHETIC and (AT in lm or self.lm(lm).kind in (UNTRAINED, MAPPED)) else sizes

    def variants_on(self, lm: str, dataset: str, codes: int | None = None) -> list[str]:
        """Variants trained on a dataset: all, unless the lm, dataset or code size lists some, or they list datasets.

        Without `codes`, for the main code size, the first. A supervised variant is left out where nothing is labelled.
        Of activations it is those that read activations; at a further layer only if the lm lists them for its layers.
        """
        entry = self.dataset(dataset)
        every = self.variants if self.is_trained_on(dataset) else ()
        every = [name for name in every if section_of(self.variants[name].params.reads) == self._section(dataset)]
        names = [name for name in every if name in (entry.variants or [name])]
        names = [name for name in names if dataset in (self.variants[name].datasets or [dataset])]
        listed = (entry.codes or {}).get(codes or self.codes(lm, dataset)[0])
        names = [name for name in names if name in (listed or [name])]
        if lm != SYNTHETIC:
            names = [name for name in names if name in (self.lm(lm).variants or [name])]
        size = codes or self.codes(lm, dataset)[0]
        names = [name for name in names if size <= (self.variants[name].params.most_codes or size)]
        if dataset in self.pairs and not entry.params.labelled:
            names = [name for name in names if not self.variants[name].params.supervised]
        if AT in lm:
            some = self.lm(lm).layer_variants
            first = [] if dataset in self.activations else names[:1]
            names = first if some is None else [name for name in names if name in some]
        return names

    def _section(self, dataset: str) -> str:
        return next((one for one in ("activations", "simulations") if dataset in getattr(self, one)), "pairs")

    def candidates_on(self, lm: str, dataset: str, codes: int) -> list[str]:
        """The variants that may be recommended: of each kind that may be, the first that is trained on all pairs as they stand.

        Nothing is recommended of untrained twins and of mapped embeddings.
        """
        if lm != SYNTHETIC and self.lm(lm).kind in (UNTRAINED, MAPPED):
            return []
        found: dict[str, str] = {}
        for name in self.variants_on(lm, dataset, codes):
            params = self.variants[name].params
            if params.candidate and not self._is_special(name) and params.orientation == "given":
                found.setdefault(self.variants[name].kind, name)
        return list(found.values())

    def compared_on(self, lm: str, dataset: str, codes: int) -> list[str]:
        """The candidates whose held-out gain is measured: none where nothing is there to compare it with."""
        found = self.candidates_on(lm, dataset, codes)
        return found if len(found) > 1 or self.chooses_codes(dataset) else []

    def _is_special(self, variant: str) -> bool:
        """Whether it is there for some tables alone, or its settings are numbers of pairs; of what is trained on pairs."""
        entry = self.variants[variant]
        return bool(entry.shown_in) or any(setting.n_pairs for setting in entry.settings)

    def jobs_on(self, lm: str, dataset: str, codes: int) -> list[tuple[str, ...]]:
        """The variants trained on a dataset, those that share a job together, the one whose job it is first."""
        return _jobs({name: self.variants[name].trained_with for name in self.variants_on(lm, dataset, codes)})

    def trained_together(self, places: list[tuple[str, str]]) -> dict[tuple[str, ...], list[tuple[str, str, int]]]:
        """The variants that share a training job, and every (lm, dataset, codes) of some places where just these do."""
        found: dict[tuple[str, ...], list[tuple[str, str, int]]] = {}
        for lm, dataset, codes in ((*place, codes) for place in places for codes in self.codes(*place)):
            for job in self.jobs_on(lm, dataset, codes):
                found.setdefault(job, []).append((lm, dataset, codes))
        return {job: where for job, where in found.items() if len(job) > 1}

    def embedded_together(self, lm: str) -> list[tuple[str, ...]]:
        """The datasets that a language model embeds in one job, by job, the one whose job it is first."""
        read = [name for name in self.pairs if self._reads(lm, name)]
        return [job for job in _jobs({name: self.pairs[name].embedded_with for name in read}) if len(job) > 1]

    def asked(self) -> list[tuple[str, str]]:
        """Every (lm, dataset) whose behaviour is measured: of trained language models, at their main layer."""
        read = self.needed_by("language")
        return [(lm, name) for lm, name in read if name in self.behaviour and self.lms[lm].kind != UNTRAINED]

    def causal_on(self, lm: str) -> list[str]:
        """The datasets of pairs whose vectors steer a language model in the causal test."""
        wanted = self.causal[lm].datasets
        return [name for name in self.steerable(lm) if name in (wanted or [name])]

    def steerable(self, lm: str) -> list[str]:
        """The datasets of labelled pairs on which variants are trained with a language model."""
        return [name for one, name in self.trained_on() if one == lm and self.pairs[name].params.labelled]

    def causal_variants(self, lm: str) -> list[str]:
        """The variants that steer there: those of the entry, else all that are not there for some tables alone."""
        wanted = self.causal[lm].variants
        places = [*((lm, dataset) for dataset in self.causal_on(lm)), *self.causal_stores(lm)]
        found = [name for place in places for name in self.vectors_of(*place)]
        return [name for name in dict.fromkeys(found) if name in (wanted or [name])]

    def recommended_in_causal(self, lm: str) -> list[str]:
        """Those of its datasets on which all that may be recommended steers, so that the choice is the one that is made elsewhere."""
        some = set(self.causal_variants(lm))
        candidates = {name: self.candidates_on(lm, name, self.codes(lm, name)[0]) for name in self.causal_on(lm)}
        return [name for name, found in candidates.items() if found and some.issuperset(found)]

    def causal_stores(self, lm: str) -> list[tuple[str, str]]:
        """The stores of the language model whose autoencoders' latents steer beside them."""
        return [place for place in self.streamed_on() if place[0] == lm]

    def steered(self, lm: str, dataset: str) -> list[str]:
        """Variants whose vectors steer the language model while its behaviour on a dataset is measured."""
        wanted = self.behaviour[dataset].variants
        return [name for name in self.vectors_of(lm, dataset) if name in (wanted or [name])]

    def has(self, kind: str) -> bool:
        """Whether there is what an entry of the catalogue needs: a key of `tables.base.NEEDS`."""
        if kind == "transfer":
            return any(self.transfers(lm) for lm in self.lms)
        if kind == "layers":
            return any(AT in lm for lm, _ in self.trained_on())
        if kind == "saes" and not self.words_on():
            return False
        if kind == "posterior":
            return bool(self.posterior)
        return bool(self.asked() if kind == "behaviour" else self.needed_by(kind))

    def transfers(self, lm: str) -> list[tuple[str, str]]:
        """Pairs of datasets such that a vector learned on the first is tried on the second (out of distribution).

        They share a concept, as far as it is known before the pairs are made, and the frame in which it is read. Pairs that
        tell many concepts apart (`words_on`) take no part.
        """
        names = [dataset for reading, dataset in self.needed_by("language") if reading == lm]
        names = [name for name in names if self.pairs[name].params.trained_by_default]
        frames = {name: self.pairs[name].params.template for name in names}
        return [
            (first, second)
            for first, second in itertools.permutations(names, 2)
            if frames[first] == frames[second] and self._concepts(first) & self._concepts(second)
        ]

    def _concepts(self, dataset: str) -> set[str]:
        return set(self.pairs[dataset].params.concept_names())

    def blocks_of(self, variant: str, dataset: str) -> list[str]:
        """Seed blocks of a variant on a dataset; one that no seed enters is read from the first alone."""
        own = self.activations.get(dataset) or self.simulations.get(dataset)
        blocks = (own.seeds if own else None) or self.blocks
        return blocks[:1] if self.variants[variant].params.deterministic else blocks


def _jobs(hosts: dict[str, str | None]) -> list[tuple[str, ...]]:
    """Names by job, the one whose job it is first; for each is given whose it shares, None for one of its own."""
    jobs: dict[str, list[str]] = {}
    for name, host in hosts.items():
        jobs.setdefault(host or name, []).append(name)
    return [tuple(sorted(members, key=lambda name: name != host)) for host, members in jobs.items()]
