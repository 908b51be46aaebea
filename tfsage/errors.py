"""The one exception that a user is meant to read."""


class TfsageError(Exception):
    """A problem the user can mend: the message says what, where, and how to mend it.

    The command line prints the message without a traceback and exits with status 1.
    """
