"""How many initialisations a fit takes, of which its own objective chooses: as many for a rival as for `ssae`."""

MOST = 32
"""most codes over which the initialisations of a fit are spread: with more, one that went astray matters little"""


def starts(n_init: int, n_codes: int) -> int:
    """`n_init`, fewer where codes are many."""
    return max(1, min(n_init, MOST // n_codes))
