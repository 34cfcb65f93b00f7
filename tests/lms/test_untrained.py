import pytest
from helpers.fetched import fetch, twin

from shiftscope.errors import ShiftScopeError


def test_a_twin_needs_the_lm_that_it_names(tmp_path):
    folder = twin(tmp_path, 0, "twin")
    with pytest.raises(ShiftScopeError, match=r"give its manifest with --of"):
        fetch(tmp_path, {"kind": "untrained", "of": "tiny", "seed": 0}, "another")
    with pytest.raises(ShiftScopeError, match=r"of LM 'large', but .* holds 'tiny'"):
        fetch(tmp_path, {"kind": "untrained", "of": "large", "seed": 0}, "another", tmp_path / "lms/tiny")
    with pytest.raises(ShiftScopeError, match=r"'twin' is itself an untrained twin: name 'tiny'"):
        fetch(tmp_path, {"kind": "untrained", "of": "twin", "seed": 0}, "another", folder)
