"""Around every request: a limit on its size, what is counted of it, and headers that keep a browser from wandering."""

import json
import time

from tfsage.retrieval.service import RetrievalService

MAX_BODY_BYTES = 1 << 20
"""A request with 500 vectors of 256 dimensions in full precision has about 2.5 kB a vector; larger ones name ids."""

_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]  # fmt: skip


class _TooLarge(Exception):
    pass


class Around:
    """ASGI middleware; see above.

    Args:
        app: what answers.
        service: whose counters move.
    """

    def __init__(self, app, service: RetrievalService):
        self._app, self._service = app, service

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size = time.perf_counter(), 500, 0

        async def limited():
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise _TooLarge
            return message

        async def counted(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, limited, counted)
        except _TooLarge:
            await _refuse(counted)
        finally:
            # Paths that nobody serves would make a time series each.
            path = getattr(scope.get("route"), "path", "other")
            self._service.requests.labels(path, status).inc()
            self._service.seconds.labels(path).observe(time.perf_counter() - started)


async def _refuse(send) -> None:
    body = json.dumps({"error": f"the request body exceeds {MAX_BODY_BYTES} bytes"}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
