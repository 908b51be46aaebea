"""Around every request: a limit on its size, what is counted of it, and headers that keep a browser from wandering."""

import time

from starlette.exceptions import HTTPException

from tfsage.retrieval.service import RetrievalService

MAX_BODY_BYTES = 4 << 20
"""Room for an activity of 500 vectors of 256 dimensions, written with all their digits."""

_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]  # fmt: skip


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
                raise HTTPException(413, f"the request body exceeds {MAX_BODY_BYTES} bytes")
            return message

        async def counted(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, limited, counted)
        finally:
            # Paths that nobody serves would make a time series each.
            path = getattr(scope.get("route"), "path", "other")
            self._service.requests.labels(path, status).inc()
            self._service.seconds.labels(path).observe(time.perf_counter() - started)
