"""Runs one of our modules in a Python process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tfsage.errors import TfsageError

_SOURCE = Path(__file__).parents[1]


def run_module(module: str, *arguments: str, purpose: str) -> str:
    """Runs `python -m module arguments...` and waits for it; its log lines are kept off the screen.

    Native libraries may abort the process they run in, and hold state that hides what a newly started server would
    see: a process of its own contains both.

    Args:
        module: dotted name of a module with a `__main__` part.
        arguments: given to it as they are.
        purpose: what the process does, for the error message.

    Returns:
        What it wrote to standard output.

    Raises:
        TfsageError: it ended with another status than 0; the last lines of its log are in the message.
    """
    path = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        log = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-5:])
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise TfsageError(f"{purpose} failed ({ended}); its last words were:\n{log}")
    return done.stdout
