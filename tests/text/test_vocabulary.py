import json
import shutil

import numpy as np
import pytest

from tests.text import reference
from tfsage.config import TextConfig
from tfsage.errors import TfsageError
from tfsage.text.vocabulary import KINDS, Vocabulary, build_vocabulary

CONFIG = TextConfig(unigrams=12, bigrams=7, character_ngrams=20)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "vocabulary"
    return folder, build_vocabulary([reference.TEXTS[:6], reference.TEXTS[6:]], CONFIG, folder)


@pytest.fixture
def built(built_once, tmp_path):
    """A built vocabulary; a copy of its folder is `tmp_path / "vocabulary"`."""
    folder, vocabulary = built_once
    shutil.copytree(folder, tmp_path / "vocabulary")
    return vocabulary


def test_the_most_frequent_tokens_in_order(built):
    expected = reference.vocabulary(reference.TEXTS, CONFIG)
    assert built.tokens == expected.tokens
    assert built.kind_sizes == (12, 7, 20) and built.size == 39 and built.first_ids == (0, 12, 19)
    np.testing.assert_array_equal(built.counts, expected.counts)
    np.testing.assert_array_equal(built.documents, expected.documents)
    assert built.document_count == expected.document_count
    assert built.fingerprint == expected.fingerprint


def test_ids_are_lines_of_the_files(built, tmp_path):
    lines = [(tmp_path / "vocabulary" / f"{kind}.txt").read_text(encoding="utf-8").splitlines() for kind in KINDS]
    assert lines == [built.tokens[kind] for kind in KINDS]


def test_load_gives_back_what_was_built(built, tmp_path):
    loaded = Vocabulary.load(tmp_path / "vocabulary")
    assert loaded.tokens == built.tokens and loaded.config == CONFIG and loaded.fingerprint == built.fingerprint
    np.testing.assert_array_equal(loaded.idf(), built.idf())


def test_nothing_but_the_folder_is_left(built, tmp_path):
    build_vocabulary([["other words"]], CONFIG, tmp_path / "vocabulary")
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary"]
    assert Vocabulary.load(tmp_path / "vocabulary").tokens["unigrams"] == ["other", "words"]


def test_a_failed_build_leaves_the_old_vocabulary(built, tmp_path):
    def texts():
        yield ["other words"]
        raise RuntimeError("the table broke off")

    with pytest.raises(RuntimeError):
        build_vocabulary(texts(), CONFIG, tmp_path / "vocabulary")
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary"]
    assert Vocabulary.load(tmp_path / "vocabulary").fingerprint == built.fingerprint


def test_idf_is_that_of_bm25():
    vocabulary = reference.vocabulary(["a b", "a", "a", ""], CONFIG)
    a, b = vocabulary.idf()[:2]
    np.testing.assert_allclose([a, b], [np.log(1 + 0.5 / 3.5), np.log(1 + 2.5 / 1.5)], rtol=1e-6)


def test_fingerprint_covers_tokens_order_and_tokenization():
    def fingerprint(*texts, **options):
        return reference.vocabulary(list(texts), TextConfig(**options)).fingerprint

    base = fingerprint("a b", "a")
    assert base == fingerprint("a", "a b")
    others = [
        fingerprint("a b", "b"),
        fingerprint("a c", "a"),
        fingerprint("a b", "a", light_stemming=True),
        fingerprint("a b", "a", character_lengths=(3, 4)),
    ]
    assert len({base, *others}) == 5


def test_not_a_vocabulary(tmp_path):
    with pytest.raises(TfsageError, match="not a vocabulary folder"):
        Vocabulary.load(tmp_path)


def test_damaged_files_are_refused(built, tmp_path):
    file = tmp_path / "vocabulary" / "unigrams.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(TfsageError, match="files were changed"):
        Vocabulary.load(tmp_path / "vocabulary")


def test_another_format_is_refused(built, tmp_path):
    about = tmp_path / "vocabulary" / "vocabulary.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"format": 99}))
    with pytest.raises(TfsageError, match="format 99"):
        Vocabulary.load(tmp_path / "vocabulary")
