"""What the entries of the log-posterior test share: how concepts are named in its rows."""

JOINT = " × "
"""between the concepts of a joint posterior"""
NULL = " (NULL)"
"""behind the name of a concept of which nothing follows"""
