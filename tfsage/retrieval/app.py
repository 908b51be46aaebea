"""The HTTP face of the retrieval service."""

from pathlib import Path
from typing import Annotated

import fastapi
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import tfsage
from tfsage.errors import TfsageError
from tfsage.retrieval import answers
from tfsage.retrieval.middleware import Around
from tfsage.retrieval.problems import Problem
from tfsage.retrieval.schema import Answer, BundleInfo, Failure, HomeRequest, SearchRequest, SimilarRequest
from tfsage.retrieval.service import RetrievalService
from tfsage.serving.client import canary_error
from tfsage.serving.space_guard import CANARY_TOLERANCE

PLAYGROUND = Path(__file__).parent / "playground"

_MEANING = {
    400: "The request does not fit the bundle or this service.",
    404: "No such product, pin or bundle.",
    410: "The cursor's bundle was replaced; start again without a cursor.",
    413: "The body is too large.",
    422: "The request is not valid.",
    503: "The model server does not answer in the bundle's space, or cannot be reached.",
}
_FAILURES = {status: {"model": Failure, "description": text} for status, text in _MEANING.items()}


def build_app(service: RetrievalService) -> fastapi.FastAPI:
    """The ASGI application of a service; /openapi.json describes it."""
    # The usual pages of documentation load scripts from elsewhere.
    app = fastapi.FastAPI(title="tfsage retrieval", version=tfsage.__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Around, service=service)
    _add_failures(app)

    @app.post("/search", responses=_FAILURES)
    def search(request: SearchRequest) -> Answer:
        """Products for a text."""
        with service.borrow(request.bundle) as loaded:
            return answers.search(loaded, request)

    @app.post("/similar", responses=_FAILURES)
    def similar(request: SimilarRequest) -> Answer:
        """Products similar to a product, a pin, or a vector."""
        with service.borrow(request.bundle) as loaded:
            return answers.similar(loaded, request)

    @app.post("/home", responses=_FAILURES)
    def home(request: HomeRequest) -> Answer:
        """Products for a person's activity."""
        with service.borrow(request.bundle) as loaded:
            return answers.home_products(loaded, request)

    @app.get("/bundles")
    def bundles() -> dict[str, BundleInfo]:
        """The loaded bundles, and what their products can be filtered by."""
        return {name: _describe(service, name) for name in service.bundles}

    @app.get(
        "/products/{product_id:path}/image",
        response_class=Response,
        responses={200: {"content": {"image/*": {}}}, 404: _FAILURES[404], 422: _FAILURES[422]},
    )
    def image(product_id: Annotated[str, fastapi.Path(max_length=500)]) -> Response:
        """The picture of a product."""
        with service.borrow() as loaded:
            found = loaded.products().picture(product_id)
        if found is None:
            raise Problem(404, f"no picture of product {product_id!r}")
        content, kind = found
        return Response(content, media_type=kind, headers={"cache-control": "max-age=3600"})

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "alive"}

    @app.get("/ready", responses={503: _FAILURES[503]})
    def ready() -> dict[str, str | None]:
        """Whether queries can be answered: the model server is there and serves the bundle's space.

        `refused` says why a newer bundle that is published does not answer.
        """
        with service.borrow() as loaded:
            if not canary_error(loaded.client, loaded.bundle.manifest) <= CANARY_TOLERANCE:
                raise TfsageError(f"the model server at {loaded.client.address} serves another space")
            return {"status": "ready", "bundle": loaded.name, "refused": service.follower.refusal}

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    def playground() -> FileResponse:
        return FileResponse(PLAYGROUND / "index.html")

    app.mount("/playground", StaticFiles(directory=PLAYGROUND))
    return app


def _describe(service: RetrievalService, name: str) -> BundleInfo:
    with service.borrow(name) as loaded:
        products = loaded.products()
        return BundleInfo(
            name=loaded.name,
            space_id=loaded.bundle.manifest.space_id,
            products=products.count,
            added=products.added_count,
            filters=loaded.catalog.attributes.fields,
            hybrid=loaded.bm25 is not None,
            explains=loaded.explainer is not None,
        )


def _add_failures(app: fastapi.FastAPI) -> None:
    """Every failure is {"error": one sentence}."""

    def failure(status: int, message: str, headers=None) -> JSONResponse:
        return JSONResponse({"error": message.encode("utf-8", "replace").decode()}, status, headers)

    @app.exception_handler(TfsageError)
    async def problem(request, error):
        return failure(error.status if isinstance(error, Problem) else 503, str(error))

    @app.exception_handler(RequestValidationError)
    async def not_valid(request, error):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return failure(422, f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def other(request, error):
        return failure(error.status_code, str(error.detail), error.headers)
