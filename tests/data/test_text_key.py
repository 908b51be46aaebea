import pytest

from tfsage.data.text_key import text_key


@pytest.mark.parametrize(
    "variant", ["walnut desks", "Desk, WALNUT", "desk walnut desk", "  walnut-desk ", "ｗａｌｎｕｔ desk"]
)
def test_variants_have_one_key(variant):
    assert text_key(variant) == text_key("walnut desk")


def test_other_queries_have_other_keys():
    texts = ["walnut desk", "oak desk", "walnut", "desk", "walnut desk lamp", "???", "!!", ""]
    assert len({text_key(text) for text in texts}) == len(texts)
