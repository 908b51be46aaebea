import tensorflow as tf

from tfsage.config import TextConfig
from tfsage.text.normalize import normalize, normalize_word, split_words, word_characters


def _normalized(*texts: str, stem: bool = False, split: bool = False) -> list[str]:
    config = TextConfig(light_stemming=stem, split_numbers=split)
    return [text.decode() for text in normalize(tf.constant(texts), config).numpy()]


def test_case_folding_and_compatibility_forms():
    assert _normalized("DESK", "Straße", "ﬁt", "ＡＢ１", "ΑΣ", "x²") == [
        "desk",
        "strasse",
        "fit",
        "ab1",
        "ασ",
        "x2",
    ]
    assert _normalized("cafe\u0301") == _normalized("caf\u00e9")


def test_text_is_left_unstemmed_unless_asked():
    assert _normalized("Doors") == ["doors"]


def test_light_stemming_strips_plurals_and_possessives():
    stems = {
        "doors": "door",
        "batteries": "battery",
        "ties": "tie",
        "boxes": "box",
        "glasses": "glass",
        "glass": "glass",
        "brushes": "brush",
        "shoes": "shoe",
        "bus": "bus",
        "gas": "gas",
        "is": "is",
        "men's": "men",
        "Women’s": "women",
        "8doors": "8door",
        "2s": "2s",
        "two doors, three shelves": "two door, three shelve",
    }
    assert _normalized(*stems, stem=True) == list(stems.values())


def test_words_are_letters_numbers_and_the_marks_that_follow_them():
    is_word = word_characters()
    assert all(is_word[ord(c)] for c in "azÉß日9٣½" + "\u0301\u093f")
    assert not any(is_word[ord(c)] for c in " _-'.,/!\t\n\x00€©🛋\ufffd\u20e3")


def test_numbers_are_parted_from_letters_on_both_sides():
    texts = {
        "12FT": "12 ft",
        "a1b2c": "a 1 b 2 c",
        "R-30x24": "r-30 x 24",
        "12 34": "12 34",
        "é2": "é 2",
        "2ports": "2 port",
    }
    assert _normalized(*texts, stem=True, split=True) == list(texts.values())


def test_words_outside_the_graph_are_those_of_the_graph():
    for split in (False, True):
        config = TextConfig(light_stemming=True, split_numbers=split)
        text = "Ten 12ft Doors, R-30x24 Straße"
        words = [normalize_word(word, config) for word in split_words(text, config)]
        assert words == _normalized(text, stem=True, split=split)[0].replace(",", "").replace("-", " ").split()
