"""Filters by attribute against a plain loop over the products."""

import numpy as np
import pyarrow as pa
import pytest

from tfsage.retrieval.attributes import Attributes
from tfsage.retrieval.problems import Problem

BRANDS = ["Acme", "acme ", None, "Foo", ""]
COLORS = [["red", "Blue"], None, [], ["blue", None], ["green"]]
PRICES = [10.0, 20.0, None, float("nan"), 30.0]
TABLE = pa.table(
    {
        "product_id": ["a", "b", "c", "d", "e"],
        "title": ["t"] * 5,
        "brand": BRANDS,
        "colors": pa.array(COLORS, pa.list_(pa.string())),
        "price": PRICES,
        "stock": [0, 1, 2, 3, 4],
    }
)


@pytest.fixture(scope="module")
def attributes() -> Attributes:
    return Attributes(TABLE)


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"brand": ["ACME"]}, [0, 1]),
        ({"brand": ["acme", "foo"]}, [0, 1, 3]),
        ({"brand": ["nobody"]}, []),
        ({"brand": [""]}, []),
        ({"colors": ["blue"]}, [0, 3]),
        ({"colors": ["blue"], "brand": ["foo"]}, [3]),
        ({"price": (10.0, 20.0)}, [0, 1]),
        ({"price": (-np.inf, np.inf)}, [0, 1, 4]),
        ({"stock": (2, 3), "colors": ["blue", "green"]}, [3]),
    ],
)
def test_products_that_pass(attributes, filters, rows):
    assert list(np.flatnonzero(attributes.allowed(filters))) == rows


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"colour": ["red"]}, "no attribute 'colour' that is text; there is brand, colors"),
        ({"price": ["10"]}, "no attribute 'price' that is text"),
        ({"brand": (1, 2)}, "no attribute 'brand' that is a number; there is price, stock"),
        ({"title": ["t"]}, "no attribute 'title'"),
    ],
)
def test_what_is_no_attribute_is_said_with_what_there_is(attributes, filters, message):
    with pytest.raises(Problem, match=message) as caught:
        attributes.allowed(filters)
    assert caught.value.status == 400


def test_fields_and_their_frequent_values(attributes):
    assert attributes.fields == {
        "brand": ["acme", "foo"],
        "colors": ["blue", "green", "red"],
        "price": None,
        "stock": None,
    }
