"""What a paper claims of its own comparison, and whether it holds here."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


class Claim(NamedTuple):
    """One variant against another, on some of the tasks.

    Attributes:
        says: the claim, in a few words.
        where: section and table of the paper.
        one, other: names of the two variants.
        tasks: names of the tasks that the claim is about.
        at_least: by how much `one` is claimed to be ahead, relative to `other`: 0 for "better", 0.035 for "better by
            3.5 % or more", -0.01 for "at most 1 % behind".
    """

    says: str
    where: str
    one: str
    other: str
    tasks: Sequence[str]
    at_least: float = 0.0


class Paper(NamedTuple):
    """A table of a paper.

    Attributes:
        title: of the table.
        figures: variant → task → recall@10; what the paper does not compare is left out, what it compares without a
            figure is None.
        parameters: variant → millions of parameters, where the paper gives them.
        claims: what the paper says of the table.
    """

    title: str
    figures: Mapping[str, Mapping[str, float | None]]
    parameters: Mapping[str, float]
    claims: Sequence[Claim]


def verdict(claim: Claim, differences: Mapping[str, Mapping]) -> str:
    """Whether a claim holds, by the relative difference of its two variants on each of its tasks.

    It holds on a task when the interval over queries and every seed alone are above `at_least`, and fails there when
    they are all below. A claim about several tasks holds when it holds on all of them, fails as soon as it fails on
    one, and is undecided otherwise.

    Args:
        claim: the claim.
        differences: task → {"low", "high", "runs"}: the interval, and the difference of each seed.
    """
    of_tasks = [differences[task] for task in claim.tasks]
    if all(min(each["low"], *each["runs"]) > claim.at_least for each in of_tasks):
        return HOLDS
    if any(max(each["high"], *each["runs"]) < claim.at_least for each in of_tasks):
        return FAILS
    return UNDECIDED
