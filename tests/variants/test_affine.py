from shiftscope.kinds import members
from shiftscope.variants.affine import Affine
from shiftscope.variants.affine_paper import AffinePaper


def own(cls):
    """What a class itself says: its members and the fields of its config."""
    return {*members(cls), *cls.__annotations__}


def test_a_variant_without_its_objective_says_only_what_differs():
    assert own(Affine) == {"candidate", "n_init", "loss", "recipe", "without_sparsity", "system"}
    assert own(AffinePaper) == {"export", "loss", "recipe", "without_sparsity", "system"}
