import numpy as np
import tensorflow as tf

from tests.text import reference
from tfsage.config import TextConfig
from tfsage.text.ngrams import Ngrams, keys_of_strings
from tfsage.text.vocabulary import KINDS

CONFIG = TextConfig(character_lengths=(1, 2, 3, 5), joined_bigrams=True)


def _spelled(codes, spans) -> list[str]:
    return ["".join(map(chr, codes[start:end])) for start, end in zip(spans.starts, spans.ends, strict=True)]


def test_spans_spell_the_tokens_of_each_text():
    codes, parts = Ngrams(CONFIG)(tf.constant(reference.TEXTS))
    codes = codes.numpy()
    found = [[] for _ in reference.TEXTS]
    for spans in parts:
        if spans.starts is not None:
            tokens = _spelled(codes, spans)
            for text, (first, last) in enumerate(zip(spans.row_splits[:-1], spans.row_splits[1:], strict=True)):
                found[text] += [(KINDS[spans.kind], token) for token in tokens[first:last]]
    plain = CONFIG.model_copy(update={"joined_bigrams": False})
    assert found == [reference.tokens(text, plain) for text in reference.TEXTS]


def test_keys_are_those_of_the_strings():
    codes, parts = Ngrams(CONFIG)(tf.constant(reference.TEXTS))
    for spans in parts:
        if spans.starts is not None:
            np.testing.assert_array_equal(spans.keys, keys_of_strings(tf.constant(_spelled(codes.numpy(), spans))))


def test_keys_of_joined_bigrams_are_those_of_the_joined_words():
    config = TextConfig(joined_bigrams=True)
    _, (_, _, joined, _) = Ngrams(config)(tf.constant(["dry wall", "x", "mid century desk"]))
    np.testing.assert_array_equal(joined.keys, keys_of_strings(tf.constant(["drywall", "midcentury", "centurydesk"])))
    assert joined.row_splits.numpy().tolist() == [0, 1, 1, 3]


def test_keys_tell_tokens_apart():
    """Anagrams, shared prefixes, and every string of up to three letters of a small alphabet."""
    letters = "abc_日"
    strings = {a + b + c for a in letters for b in ["", *letters] for c in ["", *letters]}
    strings |= {"dry_wall", "wall_dry", "drywall", "ab" * 40, "ba" * 40}
    keys = keys_of_strings(tf.constant(sorted(strings))).numpy()
    assert len(set(keys)) == len(strings)
