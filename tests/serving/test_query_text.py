"""What is refused as a query before anything is loaded."""

import pytest

from tfsage.errors import TfsageError
from tfsage.serving.query_text import MAX_QUERY_CHARACTERS, check_query


@pytest.mark.parametrize("text", ["a", "mid century walnut desk", "é 漢字 🪑", "x" * MAX_QUERY_CHARACTERS])
def test_queries_that_pass(text):
    check_query(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the query is empty"),
        (" \t\n", "the query is empty"),
        ("x" * 100_000, "the query has 100,000 characters, at most 2,000 are allowed"),
        (b"desk \xff".decode("utf-8", "surrogateescape"), "the query is not UTF-8 text: byte 0xff at character 5"),
    ],
)
def test_queries_that_are_refused(text, message):
    with pytest.raises(TfsageError, match=message):
        check_query(text)
