from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from tests.text import reference
from tfsage.config import TextConfig
from tfsage.errors import TfsageError
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import KINDS

PLAIN = TextConfig()
RICH = TextConfig(character_lengths=(1, 2, 3, 4, 5), joined_bigrams=True)
# Every fourth text is unseen, so that there are tokens outside the vocabulary.
SEEN = [text for place, text in enumerate(reference.TEXTS) if place % 4] + ["fitting x", "aa"]


@cache
def _vocabulary(config):
    return reference.vocabulary(SEEN, config)


@cache
def _tokenizer(config):
    return NgramTokenizer(_vocabulary(config), config)


def _expected(text: str, config: TextConfig) -> list[tuple[str, str]]:
    known = {kind: set(tokens) for kind, tokens in _vocabulary(config).tokens.items()}
    return [(kind, token) for kind, token in reference.tokens(text, config) if token in known[kind]]


def _named(ids, config: TextConfig) -> list[tuple[str, str]]:
    vocabulary = _vocabulary(config)
    names = [(kind, token) for kind in KINDS for token in vocabulary.tokens[kind]]
    return [names[i] for i in ids]


@pytest.mark.parametrize("config", [PLAIN, RICH])
def test_tokens_are_those_of_plain_python(config):
    tokens = _tokenizer(config)(tf.constant(reference.TEXTS))
    assert tokens.dtype == tf.int32 and tokens.row_splits.dtype == tf.int32
    for text, ids in zip(reference.TEXTS, tokens, strict=True):
        assert _named(ids.numpy(), config) == _expected(text, config), text


def test_random_texts_agree_with_plain_python():
    rng = np.random.default_rng(11)
    alphabet = list("aAbsS1-_ .'") + ["é", "e\u0301", "ß", "ﬁ", "日", "\u00ad", "\u200d", "\x00", "ि", "½", "🛋"]
    texts = ["".join(rng.choice(alphabet, size=rng.integers(0, 30))) for _ in range(300)]
    vocabulary = reference.vocabulary(texts[:150], RICH)
    names = [(kind, token) for kind in KINDS for token in vocabulary.tokens[kind]]
    known = {kind: set(tokens) for kind, tokens in vocabulary.tokens.items()}
    for text, ids in zip(texts, NgramTokenizer(vocabulary, RICH)(tf.constant(texts)), strict=True):
        expected = [(kind, token) for kind, token in reference.tokens(text, RICH) if token in known[kind]]
        assert [names[i] for i in ids.numpy()] == expected, repr(text)


def test_some_tokens_are_dropped_and_some_repeated():
    """Otherwise the two tests above would not notice a tokenizer that keeps or merges everything."""
    dropped = [text for text in reference.TEXTS if len(_expected(text, RICH)) < len(reference.tokens(text, RICH))]
    repeated = [text for text in reference.TEXTS if len(set(_expected(text, RICH))) < len(_expected(text, RICH))]
    assert dropped and repeated


def test_a_text_does_not_depend_on_its_neighbours():
    tokenizer = _tokenizer(RICH)
    together = tokenizer(tf.constant(reference.TEXTS))
    for place, text in enumerate(reference.TEXTS):
        np.testing.assert_array_equal(tokenizer(tf.constant([text]))[0], together[place])


def test_joined_bigrams_are_kept_where_they_are_words():
    config = TextConfig(joined_bigrams=True)
    vocabulary = reference.vocabulary(["drywall screw", "dry wall"], config)
    tokens = NgramTokenizer(vocabulary, config)(tf.constant(["dry wall", "wall dry"]))
    words = [[vocabulary.tokens["unigrams"][i] for i in row if i < vocabulary.kind_sizes[0]] for row in tokens.numpy()]
    assert words == [["dry", "wall", "drywall"], ["wall", "dry"]]


def test_stemmed_texts_share_tokens():
    config = TextConfig(light_stemming=True)
    vocabulary = reference.vocabulary(["wood door"], config)
    singular, plural = NgramTokenizer(vocabulary, config)(tf.constant(["wood door", "woods doors"])).numpy()
    assert len(singular) > 0
    np.testing.assert_array_equal(singular, plural)


def test_wrong_bytes_separate_words_and_nothing_else():
    tokenizer = _tokenizer(PLAIN)
    wrong = tokenizer(tf.constant([b"walnut\xff\xfedesk\xc3", b"walnut\x00desk", b"\xed\xa0\x80", b"walnut\xe2\x82"]))
    right = tokenizer(tf.constant(["walnut desk", "walnut desk", "", "walnut"]))
    np.testing.assert_array_equal(wrong.row_splits, right.row_splits)
    np.testing.assert_array_equal(wrong.flat_values, right.flat_values)


def test_very_long_texts():
    tokenizer = _tokenizer(PLAIN)
    once = tokenizer(tf.constant(["walnut "]))[0].numpy()
    unigram_and_characters = len(once)
    rows = tokenizer(tf.constant(["walnut " * 20_000, "a" * 100_000, "-" * 100_000]))
    assert rows.row_lengths().numpy()[0] == 20_000 * unigram_and_characters
    assert rows.row_lengths().numpy()[2] == 0


def test_features_of_several_columns():
    tokenizer = _tokenizer(PLAIN)
    columns = [tf.constant(["walnut desk", ""]), tf.constant(["desk", "walnut"]), tf.constant(["", ""])]
    features = tokenizer.features(columns)
    single = {text: tokenizer(tf.constant([text]))[0].numpy() for text in ("walnut desk", "desk", "walnut")}
    expected = [single["walnut desk"], single["desk"], [], [], single["walnut"], []]
    np.testing.assert_array_equal(features["token_ids"], np.concatenate(expected))
    np.testing.assert_array_equal(features["token_lengths"], np.reshape([len(ids) for ids in expected], (2, 3)))
    assert features["token_ids"].dtype == features["token_lengths"].dtype == tf.int32


def test_no_texts():
    features = _tokenizer(RICH).features([tf.zeros([0], tf.string)] * 2)
    assert features["token_ids"].shape == (0,) and features["token_lengths"].shape == (0, 2)


def test_an_empty_vocabulary_knows_nothing():
    tokenizer = NgramTokenizer(reference.vocabulary([], PLAIN), PLAIN)
    assert tokenizer(tf.constant(["walnut", ""])).row_lengths().numpy().tolist() == [0, 0]


def test_another_tokenization_than_the_vocabularys_is_refused():
    with pytest.raises(TfsageError, match="tfsage prepare"):
        NgramTokenizer(_vocabulary(PLAIN), RICH)
