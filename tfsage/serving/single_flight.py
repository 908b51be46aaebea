"""Equal work that is asked for at the same time is done once."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future


class SingleFlight:
    """Who computes which key: the first who asks; the others wait for what comes out."""

    def __init__(self):
        self._flights: dict[str, Future] = {}
        self._lock = threading.Lock()

    def claim(self, keys: Sequence[str]) -> tuple[list[str], dict[str, Future]]:
        """Splits distinct keys into those the caller must now compute and `land`, and what others are computing."""
        mine, others = [], {}
        with self._lock:
            for key in keys:
                if key in self._flights:
                    others[key] = self._flights[key]
                else:
                    self._flights[key] = Future()
                    mine.append(key)
        return mine, others

    def land(self, keys: Sequence[str], results: dict | BaseException) -> None:
        """Gives those who wait the result of each key, or the exception that prevented them all."""
        with self._lock:
            flights = [(key, self._flights.pop(key)) for key in keys]
        for key, flight in flights:
            if isinstance(results, BaseException):
                flight.set_exception(results)
            else:
                flight.set_result(results[key])
