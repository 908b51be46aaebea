"""The exceptions that a user is meant to read."""


class TfsageError(Exception):
    """A problem the user can mend: the message says what, where, and how to mend it.

    The command line prints the message without a traceback and exits with `exit_status`.
    """

    exit_status = 1


class WorkerLost(TfsageError):
    """Another worker of a training died or stopped: nothing is wrong here, and starting again may help.

    The exit status is the system's for a temporary failure (EX_TEMPFAIL), so that what starts workers can tell.
    """

    exit_status = 75
