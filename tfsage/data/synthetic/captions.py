"""What a captioning model would have said of the pictures: part of what is seen, and some of it wrong."""

import numpy as np
import pyarrow as pa

from tfsage.data.synthetic.concepts import ATTRIBUTES

_MENTIONED = {"shape": 0.8, "color": 0.9, "pattern": 0.8, "material": 0.6, "style": 0.5}
"""How often a caption speaks of each attribute, the category aside, which it always does."""
_WRONG = 0.1


def captions(values: dict[str, np.ndarray], rng: np.random.Generator) -> pa.Array:
    """One caption for each thing, list<string> [n]; one word in ten is not what the picture shows.

    Args:
        values: int [n] by attribute.
        rng: decides what is mentioned, and what is mistaken for something else.
    """
    count = len(values["category"])
    words = {name: _seen(name, values[name], rng) for name in (*_MENTIONED, "category")}
    told = {name: rng.random(count) < chance for name, chance in _MENTIONED.items()}
    # A plain thing is not described as plain.
    told["pattern"] &= values["pattern"] > 0
    return pa.array(
        [
            [" ".join(["a", *(words[name][row] for name in _MENTIONED if told[name][row]), words["category"][row]])]
            for row in range(count)
        ],
        pa.list_(pa.string()),
    )


def _seen(name: str, values: np.ndarray, rng: np.random.Generator) -> list[str]:
    forms = ATTRIBUTES[name].forms
    wrong, other = rng.random(len(values)) < _WRONG, rng.integers(len(forms), size=len(values))
    return [forms[value][0] for value in np.where(wrong, other, values).tolist()]
