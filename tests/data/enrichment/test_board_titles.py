"""Board titles against the documented formula in plain Python."""

import math
from collections import defaultdict

import ibis
import numpy as np
import pytest

from tfsage.data.enrichment.board_titles import top_board_titles

WORDS = ("home", "home", "home", "ideas", "walnut", "desk", "brass", "lamp", "Ideas", "cozy")


def random_boards(seed: int, boards: int = 60) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for board in range(boards):
        title = "  ".join(rng.choice(WORDS, rng.integers(1, 4)))
        things = rng.choice(12, rng.integers(1, 6), replace=False)
        rows += [{"board_id": f"b{board}", "title": title, "entity_id": f"e{thing}"} for thing in things]
    return rows


def top(rows: list[dict], limit: int) -> dict[str, list[str]]:
    table = top_board_titles(ibis.memtable(rows), limit).order_by("entity_id", "place").to_pyarrow().to_pylist()
    found = defaultdict(list)
    for row in table:
        assert row["place"] == len(found[row["entity_id"]])
        found[row["entity_id"]].append(row["text"])
    return found


def plainly(rows: list[dict], limit: int) -> dict[str, list[str]]:
    rows = [{**row, "key": " ".join(row["title"].lower().split())} for row in rows]
    boards_of_word = defaultdict(set)
    for row in rows:
        for word in row["key"].split():
            boards_of_word[word].add(row["board_id"])
    saves = defaultdict(lambda: defaultdict(set))
    for row in rows:
        saves[row["entity_id"]][row["key"]].add((row["board_id"], " ".join(row["title"].split())))
    best = {}
    for entity, titles in saves.items():
        ranked = []
        for key, boards in titles.items():
            words = set(key.split())
            common = sum(math.log(1 + len(boards_of_word[word])) for word in words) / len(words)
            score = round(common - math.log(1 + len({board for board, _ in boards})), 9)
            ranked.append((score, -len(key.split()), -len(key), key, min(text for _, text in boards)))
        best[entity] = [text for *_, text in sorted(ranked)[:limit]]
    return best


@pytest.mark.parametrize("seed", range(3))
def test_titles_are_those_of_plain_python(seed):
    rows = random_boards(seed)
    assert top(rows, 4) == plainly(rows, 4)
    assert max(map(len, top(rows, 4).values())) == 4


def test_rare_words_come_first_then_titles_of_more_words_and_of_more_characters():
    rows = [{"board_id": f"g{place}", "title": "home", "entity_id": f"x{place}"} for place in range(20)]
    titles = ["Home", "attic", "walnut writing desks", "bureau"]
    rows += [{"board_id": str(place), "title": title, "entity_id": "e"} for place, title in enumerate(titles)]
    assert top(rows, 10)["e"] == ["walnut writing desks", "bureau", "attic", "Home"]


def test_titles_that_differ_in_case_and_spaces_alone_are_one_and_blank_ones_none():
    titles = ["Oak  Desk", "oak desk ", "OAK DESK", " ", ""]
    rows = [{"board_id": str(place), "title": title, "entity_id": "e"} for place, title in enumerate(titles)]
    assert top(rows, 10) == {"e": ["OAK DESK"]}


def test_a_board_counts_once_however_often_a_thing_was_saved_to_it():
    rows = [{"board_id": "a", "title": "attic", "entity_id": "e"}] * 5
    rows += [{"board_id": board, "title": "bureau", "entity_id": "e"} for board in "bc"]
    rows += [{"board_id": board, "title": "attic", "entity_id": "other"} for board in "d"]
    # n(attic) = n(bureau) = 2; the thing is on one board of the first and on two of the second.
    assert top(rows, 10)["e"] == ["bureau", "attic"]
