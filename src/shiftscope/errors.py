"""The one exception that means "the user can mend this": its text names the cause and the fix."""


class ShiftScopeError(Exception):
    """Raised for bad configuration, bad input or a machine that lacks something.

    A job that ends with it prints its text as one line and points to its log; every other exception is a fault of
    the program and leaves a full traceback in the log.
    """
