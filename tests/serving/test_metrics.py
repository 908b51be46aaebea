"""The metrics page: TensorFlow Serving's names, labels and buckets, and Prometheus' format."""

import re

import httpx
import pytest

from tests.serving.example_models import example_request
from tests.serving.models import predict_request
from tests.serving.wire import refusal
from tfsage.serving import metrics
from tfsage.serving.metrics import METRICS, Counter, Histogram

LINE = re.compile(r'(?P<name>[a-zA-Z_:][\w:]*)\{(?P<labels>(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*)\} (?P<value>\S+)')


def read(page: str) -> dict[str, float]:
    """Every sample of a page, which must be in Prometheus' format to the last line."""
    samples = {}
    lines = page.split("\n")
    assert lines.pop() == ""
    for line in lines:
        if line.startswith("# TYPE "):
            assert re.fullmatch(r"# TYPE [\w:]+ (counter|histogram)", line), line
            continue
        match = LINE.fullmatch(line)
        assert match, line
        samples[f"{match['name']}{{{match['labels']}}}"] = float(match["value"])
    return samples


@pytest.fixture
def made():
    """Metrics of the test's own, which do not stay."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def test_a_counter(made):
    counter = Counter("/test/count-of", "a", "b")
    counter.add("x", 'quote" back\\slash\nline', by=2)
    counter.add("x", 'quote" back\\slash\nline')
    assert list(counter.lines()) == [
        "# TYPE :test:count:of counter",
        ':test:count:of{a="x",b="quote\\" back\\\\slash\\nline"} 3',
    ]
    assert (counter.value("x", "other"), counter.first()) == (0, 3)


def test_names_that_clients_invent_do_not_fill_the_memory(made):
    counter = Counter("/test/names", "model_name")
    for number in range(counter.most_cells + 10):
        counter.add(f"m{number}")
    counter.add("m0")
    counter.add("x" * 1_000_000)
    assert (counter.value("m0"), counter.value("(other)")) == (2, 11)
    assert len(list(counter.lines())) == counter.most_cells + 2


def test_a_histogram_counts_cumulatively(made):
    histogram = Histogram("/test/sizes", "name", scale=1, growth=2, buckets=3)
    for amount in (0.5, 1, 3, 3, 100):
        histogram.add("n", amount=amount)
    assert list(histogram.lines())[1:] == [
        ':test:sizes_bucket{name="n",le="1"} 1',
        ':test:sizes_bucket{name="n",le="2"} 2',
        ':test:sizes_bucket{name="n",le="4"} 4',
        ':test:sizes_bucket{name="n",le="+Inf"} 5',
        ':test:sizes_sum{name="n"} 107.5',
        ':test:sizes_count{name="n"} 5',
    ]


def test_what_calls_leave_on_the_page(served):
    def samples() -> dict[str, float]:
        response = httpx.get(served.url + "/monitoring/prometheus/metrics")
        assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/plain")
        return read(response.text)

    before = samples()
    served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20)
    served.prediction.Regress(example_request("regress", "regress", 1.0), timeout=20)
    refusal(served.prediction.Predict, predict_request("nix"))
    httpx.post(served.url + "/v1/models/query_tower:predict", json={"instances": ["a", "b"]})
    httpx.get(served.url + "/v1/models/query_tower")
    after = samples()
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    prefix = ":tensorflow:serving:"
    counts = {name: value for name, value in grown.items() if name.startswith(f"{prefix}request_count")}
    assert counts == {
        f'{prefix}request_count{{model_name="query_tower",status="OK"}}': 3,
        f'{prefix}request_count{{model_name="reader",status="OK"}}': 1,
        f'{prefix}request_count{{model_name="nix",status="NOT_FOUND"}}': 1,
    }
    latencies = {name for name in grown if name.startswith(f"{prefix}request_latency_count")}
    assert latencies == {
        f'{prefix}request_latency_count{{model_name="query_tower",API="Predict",entrypoint="GRPC"}}',
        f'{prefix}request_latency_count{{model_name="reader",API="Regress",entrypoint="GRPC"}}',
        f'{prefix}request_latency_count{{model_name="query_tower",API="predict",entrypoint="REST"}}',
        f'{prefix}request_latency_count{{model_name="query_tower",API="",entrypoint="REST"}}',
    }
    assert grown[f'{prefix}runtime_latency_count{{model_name="query_tower",API="Predict",runtime="TF1"}}'] == 2
    assert any(name.startswith(f"{prefix}model_warmup_latency_count") for name in after)


def test_latency_buckets_are_those_of_tensorflow_serving(served):
    served.prediction.Predict(predict_request("query_tower", query=["a"]), timeout=20)
    page = httpx.get(served.url + "/monitoring/prometheus/metrics").text
    ends = re.findall(r':request_latency_bucket\{model_name="query_tower",API="Predict",.*le="(.*?)"\}', page)
    assert ends[:4] == ["10", "18", "32.4", "58.32"]
    assert (len(ends), ends[-1], float(ends[-2])) == (34, "+Inf", pytest.approx(10 * 1.8**32, rel=1e-5))


def test_no_page_where_none_is_configured():
    assert metrics.values_of(["/tensorflow/serving/request_latency", "/nix"]) == {
        "/tensorflow/serving/request_latency": 0,
        "/nix": 0,
    }
