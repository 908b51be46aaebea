"""Environments of their own for what a benchmark compares with, made on demand."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def python_of(environment: Path, requirements: Sequence[str]) -> Path:
    """The Python of an environment with these packages, which is made when it is missing."""
    python, done = environment / "bin" / "python", environment / ".installed"
    if not done.exists():
        print(f"Installing {' '.join(requirements)} into {environment}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        done.touch()
    return python
