"""Workers that know nothing of TensorFlow, nor does this module: a process that needs it starts at once."""

from pathlib import Path

from tfsage.training.workers import run_workers

_PLAIN = """
import json, os, pathlib, signal, sys, time
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
pathlib.Path(sys.argv[1], str(rank)).write_text(str(os.getpid()))
while len(os.listdir(sys.argv[1])) < 2:
    time.sleep(0.01)
"""


def run_plain(code: str, folder: Path) -> None:
    """Two workers that leave their process ids in a folder, wait for one another, and do what `code` says."""
    run_workers(2, ["-c", _PLAIN + code, folder])
