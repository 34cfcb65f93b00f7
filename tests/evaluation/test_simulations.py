"""Rows of simulated worlds: probes of known representations score what enumeration says."""

import numpy as np
import pytest

from shiftscope.evaluation import simulations as evaluation
from shiftscope.evaluation.base import Trained
from shiftscope.evaluation.parts import write_part
from shiftscope.evaluation.simulations import Contexts, evaluate, network_rows
from shiftscope.metrics.probing import probe_predictions
from shiftscope.models import Model, Replica
from shiftscope.simulations.base import Simulated, SimulationSlice, read_simulation, write_simulation
from shiftscope.simulations.latent_dag import LatentDagSimulation
from shiftscope.training.masked import train_replicas
from shiftscope.variants.ntp_mlp import NtpMlp

LAW = LatentDagSimulation(data_seeds=2, grid={"n_observed": [3, 6]})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Simulated:
    files = [tmp_path_factory.mktemp("worlds") / name for name in ("worlds.safetensors", "manifest.json")]
    write_simulation(LAW, SimulationSlice(dataset="mine", kind="latent_dag", params={}), *files)
    return read_simulation(*files)


class Known:
    """In place of a variant: representations that are given, one row a context."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = features

    def encode(self, arrays, inputs):
        return self.features


def rows_of(world, features: np.ndarray) -> dict[str, np.ndarray]:
    drawn = Contexts(world, len(world.bits), 0)
    arrays = {
        "output": np.zeros((2 * len(world.bits), features.shape[1])),
        "output_bias": np.zeros(2 * len(world.bits)),
    }
    model = Model(0, 0, 0, arrays, {"step": 1})
    facts = {"codes": features.shape[1], "variant": "known", "kind": "ntp_mlp", "settings": [{"steps": 1}]}
    found: dict[str, list[float]] = {}
    for row in network_rows(drawn, Trained(facts, Known(features), [model]), model):
        found.setdefault(row["metric"], []).append(row["value"])
    return {name: np.array(values) for name, values in found.items()}


def posteriors(world) -> np.ndarray:
    """p(state | context) of every context, in the order of `Contexts`."""
    each = np.stack([world.posterior(bit) for bit in range(len(world.bits))], 1)
    return each.reshape(-1, len(world.prior))


def test_a_representation_that_is_the_log_posterior_scores_as_the_bayes_rule(simulated, monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLES", 200_000)
    for world in simulated.worlds:
        rows = rows_of(world, 3 * np.log(posteriors(world) + 1e-3))
        assert rows["simulation_accuracy"] == pytest.approx(world.best_accuracy(), abs=0.02)
        assert (rows["simulation_accuracy"] <= world.best_accuracy() + 1e-9).all()
        if len(world.bits) == 6:  # with fewer, contexts of other bits tell of other states
            assert rows["simulation_accuracy_heldout"] == pytest.approx(world.best_accuracy(), abs=0.06)


def test_a_representation_of_nothing_scores_as_the_more_frequent_value(simulated):
    world = simulated.worlds[-1]
    rows = rows_of(world, np.zeros((len(world.prior) * len(world.bits), 4)))
    assert rows["simulation_accuracy"] == pytest.approx(world.majority(), abs=0.01)
    assert rows["excess_loss"] == pytest.approx([np.log(2) - world.least_loss()])
    assert rows["inversion_error"] == pytest.approx([world.error_of_inversion()])


def test_one_that_names_every_context_apart_tells_nothing_where_other_bits_are_masked(simulated):
    world = simulated.worlds[-1]
    rows = rows_of(world, 9 * np.eye(len(world.prior) * len(world.bits)))
    assert (rows["simulation_accuracy"] > world.majority() + 0.1).all()
    assert rows["simulation_accuracy_heldout"].mean() < rows["simulation_accuracy"].mean() - 0.1


def test_concepts_that_have_one_value_where_a_probe_is_fitted_are_predicted_so():
    labels = np.array([[True, False], [True, True], [True, False]])
    found = probe_predictions(np.eye(3), labels, np.array([5, 0, 5]), np.eye(3))
    assert found.tolist() == [[True, False]] * 3


def test_every_world_has_rows_of_its_own_and_a_part_can_be_written(simulated, tmp_path):
    settings = [NtpMlp(steps=60, batch_size=32, lr=0.01), NtpMlp(steps=0)]
    trained = []
    for name, setting in zip(("trained", "untrained"), settings, strict=True):
        models = train_replicas([setting], [Replica(0, world, 0) for world in range(4)], simulated.worlds, 32)
        facts = {"codes": 32, "variant": name, "kind": "ntp_mlp", "settings": [setting.model_dump(mode="json")]}
        trained.append(Trained(facts, NtpMlp, models))
    rows = evaluate(simulated, trained)
    write_part(tmp_path / "part.parquet", rows)
    assert {row["dataset"] for row in rows} == {f"mine, chain, 3 concepts, {bits} observed" for bits in (3, 6)}
    assert {row["data_seed"] for row in rows} == {0, 1}
    losses = {
        name: np.mean([row["value"] for row in rows if row["metric"] == "excess_loss" and row["variant"] == name])
        for name in ("trained", "untrained")
    }
    assert losses["trained"] < 0.5 * losses["untrained"]
    best = [row for row in rows if row["control"] == "bayes" and row["split"] == "train"]
    assert len(best) == 4 * 3
