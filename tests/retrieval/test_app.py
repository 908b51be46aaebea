"""The retrieval service over HTTP: what is found, paged, filtered, explained and refused."""

import base64
import json
import socket
from contextlib import ExitStack

import numpy as np
import pytest

from tests.retrieval.conftest import PNG, QUERIES, TITLES
from tests.serving.models import DIMENSION
from tfsage.retrieval import middleware
from tfsage.retrieval.middleware import MAX_BODY_BYTES

DAY = 86_400.0


def ask(world, path: str, expect: int = 200, **body) -> dict:
    answer = world.http.post(path, json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


def ids(answer: dict) -> list[str]:
    return [hit["product_id"] for hit in answer["hits"]]


def nearest(world, vector, k=10, leave_out=()) -> list[str]:
    scores = world.vectors @ vector
    return [f"p{row}" for row in np.argsort(-scores, kind="stable") if row not in leave_out][:k]


def query_vector(world, text: str) -> np.ndarray:
    with world.service.borrow() as loaded:
        return loaded.client.embed([text])[0]


def test_search_finds_the_nearest_products_and_says_where_from(world):
    answer = ask(world, "/search", query="  walnut   desk ", k=5)
    vector = query_vector(world, "walnut desk")
    assert ids(answer) == nearest(world, vector, 5)
    top = answer["hits"][0]
    assert (top["title"], top["sources"]["dense"]["rank"]) == ("walnut desk", 1)
    assert top["score"] == pytest.approx(float(world.vectors[0] @ vector), abs=1e-5)
    assert (answer["bundle"], answer["space_id"]) == (world.bundle.folder.name, world.bundle.manifest.space_id)
    assert answer["way"] == "index"
    assert answer["milliseconds"]["total"] >= answer["milliseconds"]["search"] > 0


def test_the_second_time_the_vector_comes_from_the_cache(world):
    answers = [ask(world, "/search", query="a query of its own", k=1)["cache"] for _ in range(2)]
    assert answers == ["miss", "hit"]


@pytest.mark.parametrize("hybrid", [False, True])
def test_pages_are_the_whole_ranking_without_repeats(world, hybrid):
    whole = ids(ask(world, "/search", query="oak lamp", k=30, hybrid=hybrid))
    paged, cursor, ranks = [], None, []
    for k in (4, 7, 10, 9):
        given = {"cursor": cursor} if cursor else {}
        page = ask(world, "/search", query="oak lamp", k=k, hybrid=hybrid, **given)
        paged += ids(page)
        ranks += [hit["sources"]["dense"]["rank"] for hit in page["hits"]]
        cursor = page["cursor"]
    assert paged == whole
    assert len(set(paged)) == len(TITLES) == 30
    assert sorted(ranks) == list(range(1, 31))
    assert hybrid or ranks == sorted(ranks)
    assert ask(world, "/search", query="oak lamp", k=10, hybrid=hybrid, cursor=cursor)["hits"] == []


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"colors": ["OAK"]}, lambda title, row: title.startswith("oak")),
        ({"product_types": ["lamp", "rug"]}, lambda title, row: title.endswith(("lamp", "rug"))),
        ({"price": {"min": 3, "max": 8}}, lambda title, row: 3 <= row <= 8),
        ({"price": {"max": 8}, "colors": ["oak"]}, lambda title, row: row <= 8 and title.startswith("oak")),
    ],
)
def test_filters_keep_all_that_pass_in_order(world, filters, passes, hybrid):
    answer = ask(world, "/search", query="oak lamp", k=30, filters=filters, hybrid=hybrid)
    good = {f"p{row}" for row, title in enumerate(TITLES[:-1]) if passes(title, row)}
    assert set(ids(answer)) == good
    if not hybrid:
        assert ids(answer) == [name for name in nearest(world, query_vector(world, "oak lamp"), 30) if name in good]


def test_excluded_products_are_made_up_for(world):
    everything = ids(ask(world, "/search", query="oak lamp", k=8))
    answer = ask(world, "/search", query="oak lamp", k=5, exclude=[*everything[:3], "unknown", 17])
    assert ids(answer) == everything[3:]


def test_hybrid_names_both_rankings(world):
    answer = ask(world, "/search", query="walnut desk", k=30, hybrid=True)
    assert answer["way"] == "hybrid"
    top = answer["hits"][0]
    assert top["product_id"] == "p0"
    assert top["score"] == pytest.approx(2 / 61)
    assert top["sources"]["lexical"]["rank"] == 1
    assert "lexical" not in next(hit for hit in answer["hits"] if hit["title"] == "red lamp")["sources"]


def test_similar_to_a_product_a_pin_or_a_vector(world):
    vector = world.vectors[4]
    assert ids(ask(world, "/similar", product_id="p4")) == nearest(world, vector, 10, {4})
    expected = nearest(world, vector, 10)
    for given in ({"pin_id": 4}, {"pin_id": "4"}, {"embedding": (5 * vector).tolist()}):
        answer = ask(world, "/similar", **given)
        assert ids(answer) == expected
        assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-5)
        assert answer["cache"] is None
    huge = (vector.astype(float) * 1e300).tolist()
    assert ids(ask(world, "/similar", embedding=huge)) == expected


def test_home_takes_turns_between_the_clusters_of_an_activity(world):
    now = 100 * DAY
    activity = [{"product_id": "p0", "timestamp": now}, {"pin_id": 0, "timestamp": now - DAY}]
    activity += [{"embedding": (-world.vectors[0]).tolist(), "timestamp": now - 50 * DAY}]
    answer = ask(world, "/home", activity=activity, now=now, k=6)
    near, far = answer["clusters"]
    assert (near["members"], near["medoid"], far["members"], far["medoid"]) == ([0, 1], 0, [2], 2)
    assert near["importance"] == pytest.approx(1 + np.exp(-0.01))
    assert far["importance"] == pytest.approx(np.exp(-0.5))
    assert [list(hit["sources"]) for hit in answer["hits"]] == [["cluster 1"], ["cluster 2"]] * 3
    assert ids(answer)[::2] == nearest(world, world.vectors[0], 3, {0})
    assert ids(answer)[1::2] == nearest(world, -world.vectors[0], 3, {0})
    more = ask(world, "/home", activity=activity, now=now, k=6, cursor=answer["cursor"])
    assert not set(ids(answer)) & set(ids(more))
    one = ask(world, "/home", activity=activity, now=now, clusters=1, seed=3)
    assert len(one["clusters"]) == 1
    gone = [{"product_id": "sold out", "timestamp": now}, *activity]
    same = ask(world, "/home", activity=gone, now=now, k=6)
    assert (ids(same), same["unknown"], answer["unknown"]) == (ids(answer), [0], [])
    assert [cluster["members"] for cluster in same["clusters"]] == [[1, 2], [3]]
    assert same["clusters"][1]["medoid"] == 3


def test_hits_are_explained_by_training_queries(world):
    answer = ask(world, "/search", query="steel sink", k=1, explain=True)
    (hit,) = answer["hits"]
    assert hit["why"][0]["query"] == "steel sink"
    vectors = np.stack([query_vector(world, text) for text in QUERIES])
    scores = np.sort(vectors @ world.vectors[int(hit["product_id"][1:])])[::-1]
    np.testing.assert_allclose([reason["score"] for reason in hit["why"]], scores[:3], atol=1e-5)
    assert ask(world, "/search", query="steel sink", k=1)["hits"][0]["why"] == []


def test_two_bundles_side_by_side(world):
    current, other = (ask(world, "/similar", product_id="p4", k=5, bundle=name) for name in ("current", "compare"))
    assert current["space_id"] == current["bundle"] == world.bundle.folder.name != other["bundle"]
    assert ids(current) == nearest(world, world.vectors[4], 5, {4})
    vectors = np.load(world.root / other["bundle"] / "index" / "vectors.npy")
    assert ids(other) == nearest(world._replace(vectors=vectors), vectors[4], 5, {4})
    assert ids(current) != ids(other)
    described = world.http.get("/bundles").json()
    assert set(described) == {"current", "compare"}
    assert described["current"]["products"] == 30
    assert described["current"]["filters"]["colors"][:2] == ["blue", "oak"]
    assert described["current"]["filters"]["price"] is None


def test_pictures(world):
    hits = {hit["product_id"]: hit for hit in ask(world, "/search", query="desk", k=30)["hits"]}
    assert (hits["p0"]["image"], hits["p2"]["image"]) == ("/products/p0/image", None)
    picture = world.http.get(hits["p0"]["image"])
    assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
    for name in ("p1", "p2", "..%2F..%2Fetc%2Fpasswd"):
        assert world.http.get(f"/products/{name}/image").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/search", {}, 422, "query: Field required"),
        ("/search", {"query": ""}, 422, "query: String should have at least 1 character"),
        ("/search", {"query": " \n"}, 422, "the query is empty"),
        ("/search", {"query": "x" * 2001}, 422, "at most 2000 characters"),
        ("/search", {"query": 5}, 422, "valid string"),
        ("/search", {"query": "a", "k": 0}, 422, "k: "),
        ("/search", {"query": "a", "k": 101}, 422, "less than or equal to 100"),
        ("/search", {"query": "a", "hits": 3}, 422, "hits: Extra inputs"),
        ("/search", {"query": "a", "filters": {"colour": ["red"]}}, 400, "there is colors, product_types"),
        ("/search", {"query": "a", "filters": {"colors": []}}, 422, "filters.colors"),
        ("/search", {"query": "a", "cursor": "nonsense"}, 400, "cursor: not one"),
        ("/search", {"query": "a", "cursor": "é"}, 400, "cursor: not one"),
        ("/search", {"query": "a", "cursor": base64.b64encode(b"[" * 12_000).decode()}, 400, "cursor: not one"),
        ("/search", {"query": "a", "bundle": "third"}, 422, "bundle: "),
        ("/similar", {}, 422, "exactly one of product_id, pin_id and embedding"),
        ("/similar", {"product_id": "p1", "pin_id": "1"}, 422, "exactly one"),
        ("/similar", {"product_id": "nobody"}, 404, "no product 'nobody'"),
        ("/similar", {"pin_id": 77}, 404, "no pin 77"),
        ("/similar", {"product_id": 2**70}, 422, "product_id"),
        ("/similar", {"embedding": [1.0]}, 422, f"has 1 numbers, the vectors of this bundle {DIMENSION}"),
        ("/similar", {"embedding": [0.0] * DIMENSION}, 422, "has no direction"),
        ("/similar", {"embedding": ["x"] * DIMENSION}, 422, "embedding.0"),
        ("/home", {"activity": []}, 422, "activity: "),
        ("/home", {"activity": [{"product_id": "p1"}]}, 422, "activity.0.timestamp: Field required"),
        ("/home", {"activity": [{"product_id": "zzz", "timestamp": 5}]}, 404, "no product 'zzz'"),
        ("/nowhere", {}, 404, "Not Found"),
        ("/health", {}, 405, "Method Not Allowed"),
    ],
)
def test_what_is_refused_and_how(world, path, body, status, message):
    assert message in ask(world, path, status, **body)["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"query": NaN}', b'{"query": "\\ud800"}', b"\xff\xfe", b'{"query": "a", "k": 1e999}'],
)
def test_bodies_that_are_no_request(world, body):
    answer = world.http.post("/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error"}


def test_a_body_that_is_too_large(world):
    answer = world.http.post(
        "/search", content=b" " * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert "exceeds" in answer.json()["error"]
    assert ask(world, "/search", query="desk")["hits"]


def test_a_nest_of_brackets_does_no_harm(world):
    answer = world.http.post("/search", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert world.http.get("/health").status_code == 200


def test_a_thousand_idle_connections_are_no_trouble(world):
    address = (world.http.base_url.host, world.http.base_url.port)
    with ExitStack() as stack:
        for _ in range(1000):
            idle = stack.enter_context(socket.create_connection(address, timeout=10))
        idle.sendall(
            b"POST /search HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        )
        assert ask(world, "/search", query="desk")["hits"]


def test_more_requests_than_can_be_worked_on_are_turned_away(world, monkeypatch):
    monkeypatch.setattr(middleware, "MOST_AT_ONCE", 0)
    assert "try again" in ask(world, "/search", 503, query="desk")["error"]
    monkeypatch.undo()
    assert ask(world, "/search", query="desk")["hits"]


def test_a_cursor_belongs_to_its_request_and_its_bundle(world):
    cursor = ask(world, "/search", query="oak lamp", k=3)["cursor"]
    assert "another request" in ask(world, "/search", 400, query="oak desk", k=3, cursor=cursor)["error"]
    assert "another request" in ask(world, "/search", 400, query="oak lamp", hybrid=True, cursor=cursor)["error"]


def test_health_readiness_and_metrics(world):
    assert world.http.get("/health").json() == {"status": "alive"}
    ready = {"status": "ready", "bundle": world.bundle.folder.name, "refused": None}
    assert world.http.get("/ready").json() == ready
    world.http.get("/no/such/path")
    text = world.http.get("/metrics").text
    for name in (
        'tfsage_requests_total{path="/search",status="200"}',
        'tfsage_requests_total{path="other",status="404"}',
        'tfsage_request_seconds_bucket{le="0.001",path="/search"}',
        'tfsage_queries_total{result="hit"}',
        "tfsage_query_predict_seconds_count",
        "tfsage_bundle_refused 0.0",
    ):
        assert name in text, name


def test_the_openapi_document_names_every_way_and_failure(world):
    document = world.http.get("/openapi.json").json()
    assert set(document["paths"]) == {
        *("/search", "/similar", "/home", "/bundles", "/health", "/ready", "/metrics"),
        "/products/{product_id}/image",
    }
    assert set(document["paths"]["/search"]["post"]["responses"]) == {"200", "400", "404", "410", "413", "422", "503"}
    json.dumps(document)
