"""The kind of index follows the size of the catalog."""

import math

import pytest

from tfsage.index.spec import choose_spec


@pytest.mark.parametrize(
    ("count", "kind"),
    [
        (1, "scann_brute_force"),
        (20_000, "scann_brute_force"),
        (20_001, "scann_hash"),
        (100_000, "scann_hash"),
        (100_001, "scann_tree"),
        (10_000_000, "scann_tree"),
    ],
)
def test_kind_by_size(count, kind):
    assert choose_spec(count, 0.95).kind == kind


@pytest.mark.parametrize("count", [100_001, 300_000, 999_999, 1_000_000, 10_000_000])
def test_leaves_lie_between_one_and_two_square_roots(count):
    spec = choose_spec(count, 0.95)
    assert math.isqrt(count) <= spec.leaves <= 2 * math.sqrt(count)
    assert spec.training_rows >= 50 * spec.leaves


def test_a_tree_never_has_more_leaves_than_rows():
    assert choose_spec(1, 0.95, kind="scann_tree").leaves == 1


def test_a_high_target_reorders_in_float32():
    """bfloat16 cannot recall more than about 0.998, so it would never reach such a target."""
    assert choose_spec(200_000, 0.95).reorder_dtype == "bfloat16"
    assert choose_spec(200_000, 0.99).reorder_dtype == "float32"
