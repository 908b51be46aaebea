import numpy as np

from tfsage.data.noise import CatalogQueries, misspell


def edit_distance(a: str, b: str) -> int:
    """Plain Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, last = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


def test_a_mistake_is_one_mistake():
    rng = np.random.default_rng(1)
    text = "walnut writing desk"
    spoiled = {misspell(text, rng) for _ in range(300)}
    assert len(spoiled) > 50
    # A swap of two neighbours is two edits, everything else at most one.
    assert max(edit_distance(text, other) for other in spoiled) <= 2
    assert {len(other) - len(text) for other in spoiled} == {-1, 0, 1}


def test_short_texts_are_left_alone():
    rng = np.random.default_rng(1)
    assert all(misspell(text, rng) == text for text in ("", "a", "tv", "led"))


def test_catalog_queries_are_ordered_parts_of_the_title():
    rng = np.random.default_rng(2)
    title = "one two three four five six seven eight nine ten"
    make = CatalogQueries(lambda word: 1.0, longest=4)
    places = {word: place for place, word in enumerate(title.split())}
    queries = [make(title, rng).split() for _ in range(400)]
    assert all(1 <= len(query) <= 4 for query in queries)
    assert all([places[w] for w in query] == sorted({places[w] for w in query}) for query in queries)
    spans = [places[q[-1]] - places[q[0]] == len(q) - 1 for q in queries if len(q) > 1]
    assert 0.5 < np.mean(spans) < 0.9


def test_rare_words_are_kept_more_often():
    rng = np.random.default_rng(3)
    make = CatalogQueries({"The": 0.1, "of": 0.1, "walnut": 5.0}.get, longest=1)
    drawn = [make("The of walnut", rng) for _ in range(600)]
    # Half are spans (each word equally likely), half drawn by weight: P(walnut) = 1/2·1/3 + 1/2·5/5.2.
    assert abs(np.mean([query == "walnut" for query in drawn]) - 0.647) < 0.07


def test_one_word_and_no_word():
    rng = np.random.default_rng(4)
    assert CatalogQueries(lambda word: 1.0)("desk", rng) == "desk"
    assert CatalogQueries(lambda word: 1.0)("", rng) == ""
