"""The workers that train one model together, as the environment names them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfsage.errors import TfsageError

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}, '
    "with the index of each worker"
)


@dataclass(frozen=True)
class Cluster:
    """The workers of a training and which of them this process is; one worker alone needs no addresses.

    Attributes:
        addresses: host:port of every worker, in the order of ranks.
        rank: of this process; rank 0 is the chief, which alone writes into the run folder.
        launcher: process that started all workers on this host, or None when they were started one by one.
    """

    addresses: tuple[str, ...] = ("localhost",)
    rank: int = 0
    launcher: int | None = None

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Reads TF_CONFIG, TensorFlow's way to tell a process of the others; without it this process is alone.

        Raises:
            TfsageError: TF_CONFIG is not what workers need.
        """
        given = os.environ.get("TF_CONFIG", "").strip()
        if not given:
            return cls()
        try:
            addresses, rank = _parse(json.loads(given))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TfsageError(f"TF_CONFIG in the environment is not valid ({error}); it should be {_EXAMPLE}") from None
        launcher = os.environ.get(_LAUNCHER)
        return cls(addresses, rank, int(launcher) if launcher else None)

    @property
    def size(self) -> int:
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        return self.rank == 0

    def name(self, rank: int) -> str:
        """How messages call a worker."""
        return f"worker {rank} ({self.addresses[rank]})"


def environment_of(rank: int, addresses: Sequence[str], launcher: int) -> dict[str, str]:
    """What tells a worker on this host of the others and of the process that started them."""
    task = {"type": "worker", "index": rank}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": list(addresses)}, "task": task}), _LAUNCHER: str(launcher)}


_LAUNCHER = "TFSAGE_LAUNCHER"


def _parse(config: Mapping) -> tuple[tuple[str, ...], int]:
    jobs = config["cluster"]
    if unknown := set(jobs) - {"chief", "worker"}:
        raise ValueError(f"all tasks must be chief or worker, found {', '.join(sorted(unknown))}")
    kind, index = config["task"]["type"], int(config["task"]["index"])
    addresses = tuple(address for job in ("chief", "worker") for address in jobs.get(job, ()))
    rank = index + (len(jobs.get("chief", ())) if kind == "worker" else 0)
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise ValueError(f"the cluster has no {kind} {index}")
    return addresses, rank
