import numpy as np
import pytest

from shiftscope.metrics.truthfulness import mc1, mc2


def test_mc1_and_mc2_by_hand():
    """Probabilities .4 and .1 (right), .3 and .2 (wrong): mc2 is .5 in all; a tie does not win mc1."""
    right = np.array([True, False, True, False])
    likely = np.log([[0.4, 0.1], [0.3, 0.3], [0.1, 0.4], [0.2, 0.2]])
    assert mc2(likely, right) == pytest.approx([0.5, 0.5])
    assert mc2(likely - 900, right) == pytest.approx([0.5, 0.5])  # no underflow
    one = np.array([True, False, False])
    assert mc1(np.log([[0.4, 0.2, 0.3], [0.3, 0.3, 0.3], [0.1, 0.1, 0.2]]), one).tolist() == [1, 0, 0]
