from tests.text import reference
from tfsage.config import TextConfig
from tfsage.text.counting import TokenCounter
from tfsage.text.vocabulary import KINDS

CONFIG = TextConfig(character_lengths=(2, 3), joined_bigrams=True)


def _counted(batches, folder):
    folder.mkdir()
    counter = TokenCounter(CONFIG, folder)
    for batch in batches:
        counter.add(batch)
    tables = [counter.most_frequent(kind, 10**6).to_pylist() for kind in range(len(KINDS))]
    return counter.document_count, tables


def test_counts_are_those_of_plain_python(tmp_path):
    texts = reference.TEXTS * 2 + ["walnut walnut desk"]
    documents, tables = _counted([texts[:5], [], texts[5:]], tmp_path / "scratch")
    assert documents == sum(bool(reference.words(text)) for text in texts)
    for table, (occurrences, texts_with) in zip(tables, reference.count(texts, CONFIG).values(), strict=True):
        assert {row["token"]: row["count"] for row in table} == dict(occurrences)
        assert {row["token"]: row["documents"] for row in table} == dict(texts_with)


def test_batches_and_order_do_not_matter(tmp_path):
    texts = reference.TEXTS
    whole = _counted([texts], tmp_path / "whole")
    assert _counted([[text] for text in reversed(texts)], tmp_path / "single") == whole


def test_nothing_to_count(tmp_path):
    assert _counted([], tmp_path / "none") == (0, [[], [], []])
    assert _counted([[""], []], tmp_path / "empty") == (0, [[], [], []])


def test_most_frequent_first_and_ties_by_token(tmp_path):
    counter = TokenCounter(CONFIG, tmp_path)
    counter.add(["b a c", "é z", "Z c"])
    tokens = [row["token"] for row in counter.most_frequent(0, 4).to_pylist()]
    assert tokens == ["c", "z", "a", "b"]


def test_documents_are_counted_among_many_empty_texts(tmp_path):
    documents, tables = _counted([["walnut", "", "", "", "", "walnut desk", "", ""]], tmp_path / "scratch")
    assert documents == 2
    assert {row["token"]: row["documents"] for row in tables[0]} == {"walnut": 2, "desk": 1}
