import pytest

from tfsage.experiments.claims import FAILS, HOLDS, UNDECIDED, Claim, verdict


def of(low, high, *runs):
    return {"low": low, "high": high, "runs": runs or ((low + high) / 2,)}


ABOVE, BELOW, UNCLEAR = of(0.01, 0.03), of(-0.03, -0.01), of(-0.01, 0.02)


@pytest.mark.parametrize(
    ("one", "two", "at_least", "expected"),
    [
        (ABOVE, ABOVE, 0.0, HOLDS),
        (ABOVE, UNCLEAR, 0.0, UNDECIDED),
        (ABOVE, BELOW, 0.0, FAILS),
        (UNCLEAR, BELOW, 0.0, FAILS),
        (UNCLEAR, UNCLEAR, 0.0, UNDECIDED),
        # One seed on the other side leaves it open, whatever the interval says.
        (ABOVE, of(0.01, 0.03, 0.05, -0.01), 0.0, UNDECIDED),
        (of(-0.03, -0.01, -0.05, 0.01), ABOVE, 0.0, UNDECIDED),
        # "Better by 2 % or more", "at most 2 % behind".
        (ABOVE, ABOVE, 0.02, UNDECIDED),
        (ABOVE, ABOVE, 0.04, FAILS),
        (ABOVE, UNCLEAR, -0.02, HOLDS),
        (ABOVE, BELOW, -0.02, UNDECIDED),
        (ABOVE, of(-0.05, -0.03), -0.02, FAILS),
    ],
)
def test_a_verdict_needs_every_task_the_interval_and_every_seed(one, two, at_least, expected):
    claim = Claim("", "", "a", "b", ("click", "save"), at_least)
    assert verdict(claim, {"click": one, "save": two, "other": BELOW}) == expected
