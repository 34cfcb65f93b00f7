from shiftscope.errors import unknown


def test_an_unknown_name_is_told_what_is_allowed_and_what_is_nearest():
    assert unknown("variant 'sae'", "sae", ["ssae", "pca"]) == (
        "variant 'sae' is unknown: allowed are pca, ssae; did you mean 'ssae'?"
    )


def test_a_name_that_is_near_nothing_gets_no_hint():
    assert unknown("variant 'xyz'", "xyz", {"ssae", "pca"}) == "variant 'xyz' is unknown: allowed are pca, ssae"


def test_where_nothing_is_allowed_that_is_said():
    assert unknown("this key", "lr", iter(())) == "this key is unknown: allowed are none"
