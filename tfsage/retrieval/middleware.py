"""Around every request: limits on size and number, what is counted, and headers that keep a browser from wandering."""

import time

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tfsage.retrieval.service import RetrievalService

MAX_BODY_BYTES = 4 << 20
"""Room for an activity of 500 vectors of 256 dimensions, written with all their digits."""

MOST_AT_ONCE = 256
"""Requests that are worked on or wait for it; idle connections do not count."""

_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]  # fmt: skip


_TOO_BUSY = JSONResponse({"error": f"{MOST_AT_ONCE} requests are being worked on; try again"}, 503)


class Around:
    """ASGI middleware; see above.

    Args:
        app: what answers.
        service: whose counters move.
    """

    def __init__(self, app, service: RetrievalService):
        self._app, self._service, self._running = app, service, 0

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
                raise HTTPException(413, f"the request body exceeds {MAX_BODY_BYTES} bytes")
            return message

        async def counted(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        app = self._app if self._running < MOST_AT_ONCE else _TOO_BUSY
        self._running += 1
        try:
            await app(scope, limited, counted)
        finally:
            self._running -= 1
            # Paths that nobody serves would make a time series each.
            path = getattr(scope.get("route"), "path", "other")
            self._service.requests.labels(path, status).inc()
            self._service.seconds.labels(path).observe(time.perf_counter() - started)
