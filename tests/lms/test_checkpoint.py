"""A step of a training as a language model of its own."""

import pytest
from helpers.configs import GOOD, refusal
from helpers.fetched import fetch, logits, same_weights
from helpers.tiny_lms import make_model, save_lm
from safetensors.torch import save_file

from shiftscope.activations.model import load
from shiftscope.config.read import parse_config
from shiftscope.errors import ShiftScopeError

TRAINED = {"source": "train", "corpus": "grammar", "checkpoints": [0, 50, 800], "steps": 700}


@pytest.fixture
def trained(tmp_path):
    """A language model with the weights of step 50 beside its last ones."""
    folder = fetch(tmp_path, {"kind": "folder", "path": str(save_lm(tmp_path / "source"))})
    (folder / "checkpoints").mkdir()
    early = {name: tensor.contiguous() for name, tensor in make_model("llama", seed=7).state_dict().items()}
    save_file(early, folder / "checkpoints/step_000050.safetensors", {"format": "pt"})
    return folder


def test_it_has_the_weights_of_its_step_and_the_rest_of_its_model(tmp_path, trained):
    folder = fetch(tmp_path, {"kind": "checkpoint", "of": "tiny", "step": 50}, "early", trained)
    (early, tokenizer), (last, same) = load(folder), load(trained)
    assert same_weights(early, make_model("llama", seed=7)) and not same_weights(early, last)
    assert tokenizer.get_vocab() == same.get_vocab()
    assert not logits(early).equal(logits(last))


def test_a_step_that_was_not_kept_and_another_model_are_refused(tmp_path, trained):
    with pytest.raises(ShiftScopeError, match="no weights of step 40, but of 50: name one of these, or add 40 to its"):
        fetch(tmp_path, {"kind": "checkpoint", "of": "tiny", "step": 40}, "early", trained)
    with pytest.raises(ShiftScopeError, match=r"of LM 'large', but .* holds 'tiny'"):
        fetch(tmp_path, {"kind": "checkpoint", "of": "large", "step": 50}, "early", trained)
    with pytest.raises(ShiftScopeError, match="give its manifest with --of"):
        fetch(tmp_path, {"kind": "checkpoint", "of": "tiny", "step": 50}, "early")


def configured(**entry) -> dict:
    early = {"source": "checkpoint", "of": "grammar", "step": 50, "pairs": ["grammar_concepts"]} | entry
    trained = TRAINED | {"pairs": ["grammar_concepts"], "layer": "resid_post.1"}
    lms = GOOD["lms"] | {"grammar": trained, "early": early}
    return GOOD | {"corpora": {"grammar": {}}, "lms": lms, "pairs": GOOD["pairs"] | {"grammar_concepts": {}}}


def test_the_config_knows_which_steps_are_kept():
    config = parse_config(configured())
    assert ("early", "grammar_concepts") in config.needed_by("words")
    assert "early" not in {lm for lm, _ in config.trained_on()} and config.lms["early"].layer == "resid_post.1"
    assert refusal(configured(pairs=["mine"])).startswith("lms.early.pairs: a checkpoint reads words alone")
    assert refusal(configured(step=800)).startswith("lms.early.step: grammar keeps its weights at 0, 50: ")
    assert refusal(configured(of="m")).startswith("lms.early.of: language model 'm' with source train is unknown")
