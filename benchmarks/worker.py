"""A process of its own that does something whenever it is asked to, one line in, one line of JSON out."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence


class Worker:
    """A subprocess that calls `answer_requests`; to be used in a `with` statement, which ends it.

    Args:
        command: what to run.

    Raises:
        SystemExit: (from `ask`) the subprocess has ended.
    """

    def __init__(self, command: Sequence[str]):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, request: str) -> dict:
        """Sends one line and waits for its answer."""
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise SystemExit(f"{' '.join(self._process.args)}: ended with code {self._process.wait()}")
        return json.loads(answer)


def answer_requests(answer: Callable[[str], dict]) -> None:
    """Answers lines of standard input until it ends; whatever else is printed meanwhile goes to standard error."""
    stdout, sys.stdout = sys.stdout, sys.stderr
    for request in sys.stdin:
        print(json.dumps(answer(request.strip())), file=stdout, flush=True)
