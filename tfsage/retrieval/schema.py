"""Requests and answers of the retrieval service. This is the one home of their fields and limits."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from tfsage.serving.query_text import MAX_QUERY_CHARACTERS

MOST_HITS = 100
MOST_ACTIVITY = 500
_MOST_DIMENSIONS = 4096
_MOST_EXCLUDED = 1000

# SQL and JSON readers know 64 bits; a longer number is not an id of any table.
Id = Annotated[str, Field(min_length=1, max_length=500)] | Annotated[int, Field(ge=-(2**63), lt=2**63)]
Embedding = Annotated[list[FiniteFloat], Field(min_length=1, max_length=_MOST_DIMENSIONS)]
Value = Annotated[str, Field(max_length=500)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Range(Strict):
    """A number from `min` to `max`, both included."""

    min: FiniteFloat | None = None
    max: FiniteFloat | None = None


class Request(Strict):
    """What every request may say."""

    k: Annotated[int, Field(ge=1, le=MOST_HITS, description="Hits on a page.")] = 10
    filters: Annotated[
        dict[
            Annotated[str, Field(max_length=200)], Annotated[list[Value], Field(min_length=1, max_length=100)] | Range
        ],
        Field(
            max_length=20,
            description="Every attribute named must pass: a text attribute has one of the values (in any case), "
            "a number is within the range.",
        ),
    ] = {}
    exclude: Annotated[list[Id], Field(max_length=_MOST_EXCLUDED, description="Ids of products to leave out.")] = []
    cursor: Annotated[str | None, Field(max_length=20_000, description="From the page before.")] = None
    explain: Annotated[bool, Field(description="Name the nearest training queries of each hit.")] = False
    bundle: Annotated[Literal["current", "compare"], Field(description="Which of the loaded bundles answers.")] = (
        "current"
    )


class SearchRequest(Request):
    """Products for a text."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    hybrid: Annotated[bool, Field(description="Fuse with BM25 by reciprocal ranks.")] = False


class Entity(Strict):
    """A product, a pin, or a vector of the space: exactly one of them."""

    product_id: Id | None = None
    pin_id: Id | None = None
    embedding: Embedding | None = None

    @model_validator(mode="after")
    def _one(self):
        if sum(value is not None for value in (self.product_id, self.pin_id, self.embedding)) != 1:
            raise ValueError("give exactly one of product_id, pin_id and embedding")
        return self


class SimilarRequest(Request, Entity):
    """Products similar to one product, pin or vector; the product itself is left out."""


class Activity(Entity):
    """An engagement: with what, and when."""

    timestamp: Annotated[FiniteFloat, Field(ge=0, le=1e11, description="Seconds since 1970, UTC.")]


class HomeRequest(Request):
    """Products for a person's activity; the products in it are left out."""

    activity: Annotated[list[Activity], Field(min_length=1, max_length=MOST_ACTIVITY)]
    clusters: Annotated[int, Field(ge=1, le=20, description="Clusters sampled at most.")] = 3
    now: Annotated[
        FiniteFloat | None, Field(ge=0, le=1e11, description="Seconds since 1970, UTC; the present by default.")
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**32, description="The same seed samples the same clusters.")] = 0


class Place(BaseModel):
    """Where a hit stood in one ranking."""

    rank: int
    score: float


class Why(BaseModel):
    """A training query near the hit."""

    query: str
    score: float


class Hit(BaseModel):
    """A product. score: cosine to the query (fused reciprocal ranks in hybrid search, cosine to the medoid on Home)."""

    product_id: str | int
    title: str
    score: float
    sources: Annotated[
        dict[str, Place], Field(description="Rankings it comes from: dense, lexical, or cluster N of Home.")
    ]
    image: Annotated[str | None, Field(description="Path of its picture.")] = None
    added: Annotated[bool, Field(description="New or changed since the bundle was published.")] = False
    why: list[Why] = []


class HomeCluster(BaseModel):
    """A cluster of the activity that was sampled. members and medoid: places in the request's activity."""

    members: list[int]
    medoid: int
    importance: float


class Answer(BaseModel):
    """A page of hits."""

    hits: list[Hit]
    cursor: Annotated[str | None, Field(description="For the next page; null when this is the last.")]
    bundle: str
    space_id: str
    way: Annotated[Literal["index", "exact", "hybrid"], Field(description="How the hits were found.")]
    cache: Annotated[
        Literal["hit", "miss"] | None, Field(description="Where the query's vector was; null without text.")
    ]
    milliseconds: Annotated[dict[str, float], Field(description="Spent on embed, search and in total.")]
    clusters: list[HomeCluster] = []
    unknown: Annotated[list[int], Field(description="Places in the activity of products and pins not known.")] = []


class BundleInfo(BaseModel):
    """A loaded bundle. products: that can be answered, `added` of them as they were added since it was published.
    filters: attribute -> its frequent values, or null for a number."""

    name: str
    space_id: str
    products: int
    added: int
    filters: dict[str, list[str] | None]
    hybrid: bool
    explains: bool


class Failure(BaseModel):
    """Why a request was not answered."""

    error: str
