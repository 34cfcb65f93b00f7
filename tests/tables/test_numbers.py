"""How numbers are written for people."""

import doctest

from shiftscope.tables import numbers


def test_numbers_are_written_for_people():
    assert doctest.testmod(numbers).failed == 0
    assert numbers.number(-0.0001) == ".000"
    assert numbers.number(0.05, signed=True) == "+.050"
    assert numbers.span([0.42, 0.996]) == ".420 to .996"
    assert numbers.span([float("nan")]) == numbers.ABSENT
    assert numbers.spoken(0.996) == ".996"
