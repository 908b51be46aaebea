import pytest
import tensorflow as tf
from keras_nlp.models import DistilBertTokenizer

from tfsage.errors import TfsageError
from tfsage.text.wordpiece import SPECIAL_TOKENS, learn_wordpiece, training_wordpiece

QUERIES = ["White Door", "white doors", "black door-hinge", "hinges 1/2 in.", "日本 door", "weiß"] * 3 + ["zebra"]


def _lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_a_vocabulary_of_words_and_pieces(tmp_path):
    tokens = _lines(learn_wordpiece(QUERIES, 200, tmp_path / "wordpiece.txt"))
    assert tokens[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS
    assert len(set(tokens)) == len(tokens) <= 200
    assert {"door", "white", "black", "-", "/", "日", "weiss"} <= set(tokens)
    assert "zebra" not in tokens, "a word that occurs once is made of pieces"


def test_every_word_of_the_queries_has_pieces(tmp_path):
    path = learn_wordpiece(QUERIES, 200, tmp_path / "wordpiece.txt")
    tokenizer = DistilBertTokenizer(str(path), lowercase=True)
    ids = tokenizer(tf.constant(QUERIES)).flat_values.numpy()
    assert SPECIAL_TOKENS.index("[UNK]") not in ids
    words = [tokenizer.id_to_token(int(i)) for i in tokenizer(tf.constant(["White DOOR"]))[0]]
    assert words == ["white", "door"]


def test_learning_is_repeatable_and_does_not_depend_on_the_order(tmp_path):
    first = _lines(learn_wordpiece(QUERIES, 60, tmp_path / "first.txt"))
    assert first == _lines(learn_wordpiece(reversed(QUERIES), 60, tmp_path / "again.txt"))


def test_training_queries_are_learned_from_once(tmp_path):
    path = training_wordpiece(iter(QUERIES), 100, tmp_path)
    path.write_text("kept")
    assert training_wordpiece(QUERIES, 100, tmp_path) == path and path.read_text() == "kept"
    assert training_wordpiece(QUERIES, 99, tmp_path) != path
    assert training_wordpiece(QUERIES[1:], 100, tmp_path) != path


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_no_text(texts, tmp_path):
    with pytest.raises(TfsageError, match="no training queries with text"):
        learn_wordpiece(texts, 100, tmp_path / "wordpiece.txt")
    assert not list(tmp_path.iterdir())


def test_a_size_below_the_characters(tmp_path):
    with pytest.raises(TfsageError, match="vocabulary_size of 10 cannot hold"):
        learn_wordpiece(QUERIES, 10, tmp_path / "wordpiece.txt")
    assert not list(tmp_path.iterdir())
