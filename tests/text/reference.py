"""The tokenization rewritten in plain Python, for tests to compare with."""

import unicodedata
from collections import Counter

import numpy as np

from tfsage.config import TextConfig
from tfsage.text.vocabulary import KINDS, Vocabulary

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufe0f\ufeff"

TEXTS = [
    "Mid-Century WALNUT Desk, 48in (walnut)",
    "Straße ﬁtting ＡＢＣ１２３ ½ x² ①",
    "ΑΣ ὈΔΥΣΣΕΎΣ İstanbul Ǆ",
    "caf\u00e9 cafe\u0301 soft\u00adhyphen zero\u200bwidth",
    "हिन्दी किताब 日本語テキスト Привет мир",
    "a  a\ta\na b a",
    "under_score __ x_y 'quoted' \"double\"",
    "emoji 🛋️ sofa 👩‍👩‍👧 rug",
    "",
    "   ",
    "!?--...",
    "7",
]
"""Upper and lower case, compatibility forms, marks, scripts without spaces, repeated words, nothing at all."""


def words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFD", text).casefold()
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    found, word = [], ""
    for character in folded + " ":
        if character in _INVISIBLE:
            continue
        category = unicodedata.category(character)
        if category[0] in "LN" or category in ("Mn", "Mc"):
            word += character
        elif word:
            found.append(word)
            word = ""
    return found


def tokens(text: str, config: TextConfig) -> list[tuple[str, str]]:
    """(kind, token) in the order of the tokenizer, out-of-vocabulary tokens included."""
    found = words(text)
    pairs = list(zip(found, found[1:], strict=False))
    result = [("unigrams", word) for word in found]
    result += [("bigrams", f"{first}_{second}") for first, second in pairs]
    if config.joined_bigrams:
        result += [("unigrams", first + second) for first, second in pairs]
    for length in config.character_lengths:
        for word in found:
            marked = f"_{word}_"
            windows = [marked[start : start + length] for start in range(len(marked) - length + 1)]
            result += [("character_ngrams", window) for window in windows if window != "_"]
    return result


def count(texts: list[str], config: TextConfig) -> dict[str, tuple[Counter, Counter]]:
    """Kind -> occurrences and document frequencies; joined bigrams are not counted."""
    config = config.model_copy(update={"joined_bigrams": False})
    counts = {kind: (Counter(), Counter()) for kind in KINDS}
    for text in texts:
        found = tokens(text, config)
        for kind, token in found:
            counts[kind][0][token] += 1
        for kind, token in set(found):
            counts[kind][1][token] += 1
    return counts


def vocabulary(texts: list[str], config: TextConfig) -> Vocabulary:
    """The vocabulary of some texts, as `build_vocabulary` should make it."""
    kept, occurrences, documents = {}, [], []
    for kind, (counts, texts_with) in count(texts, config).items():
        order = [token for token, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        kept[kind] = order[: getattr(config, kind)]
        occurrences += [counts[token] for token in kept[kind]]
        documents += [texts_with[token] for token in kept[kind]]
    number = sum(bool(words(text)) for text in texts)
    return Vocabulary(config, kept, np.array(occurrences, np.int64), np.array(documents, np.int64), number)
