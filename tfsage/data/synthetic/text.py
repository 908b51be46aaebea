"""What catalogs write about products, and what people type: two ways to say the same latent values."""

import numpy as np
import pyarrow as pa

from tfsage.config import TEXT_FIELDS
from tfsage.data.synthetic import words
from tfsage.data.synthetic.concepts import ABSENT, ATTRIBUTES

_MENTIONED = {
    "title": {
        "brand": 0.5,
        "style": 0.35,
        "color": 0.25,
        "pattern": 0.4,
        "material": 0.4,
        "subtype": 0.5,
        "feature": 0.2,
    },
    "description": {"style": 0.25, "color": 0.15, "material": 0.25, "room": 0.8, "feature": 0.8, "size": 0.3},
    "column": {"brand": 0.8, "color": 0.3, "material": 0.4, "pattern": 0.3, "size": 0.7, "subtype": 0.4},
}
"""How often an attribute is mentioned in each place: catalogs leave much out, and not always the same."""

_DETAILS = {"pattern": 0.25, "feature": 0.2, "room": 0.15, "size": 0.1}
_ASKED = (
    # share of the queries, chance that each attribute is asked for
    (0.62, {"category": 1, "style": 0.4, "material": 0.4, "color": 0.4, "subtype": 0.4} | _DETAILS),
    (0.10, {"category": 1}),
    (0.12, {"category": 1, "brand": 1, "style": 0.2, "subtype": 0.2}),
    (0.03, {"brand": 1}),
    (0.13, {"style": 0.7, "material": 0.5, "color": 0.5, "room": 1, "pattern": 0.2}),
)
"""Queries of different specificity, from a brand alone to "mid century walnut writing desk"."""

_LISTS = ("links", "product_types", "colors", "materials", "patterns")
_QUERY_ORDER = ("brand", "size", "style", "color", "pattern", "material", "feature", "subtype", "category")


def product_text(values: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, pa.Array]:
    """The 12 text columns of products, string or list of strings; absent values are null.

    Args:
        values: int [n] by attribute.
        rng: decides what is mentioned, and in which words.
    """
    count = len(values["category"])
    said = {name: _say(name, values[name], rng, catalog=True) for name in ATTRIBUTES if name != "shape"}
    told = {
        place: {name: rng.random(count) < chance for name, chance in chances.items()}
        for place, chances in _MENTIONED.items()
    }
    # A plain product is not advertised as plain.
    told["title"]["pattern"] &= values["pattern"] > 0
    pick = rng.random((count, 6))
    rows = [_write_row(row, {name: said[name][row] for name in said}, values, told, pick[row]) for row in range(count)]
    return {
        column: pa.array([row[column] for row in rows], pa.list_(pa.string()) if column in _LISTS else pa.string())
        for column in TEXT_FIELDS
    }


def _write_row(row: int, said: dict[str, str], values, told, pick) -> dict:
    def mention(place: str, *names: str) -> list[str]:
        return [said[name] for name in names if told[place][name][row]]

    collection = _collection(pick[0])
    title = mention("title", "brand", "style", "color", "pattern", "material", "subtype")
    title = " ".join([*title, said["category"]]).title()
    if pick[1] < 0.35:
        title = f"{collection} {title}" if pick[1] < 0.2 else f"{title}, {collection}"
    if told["title"]["feature"][row]:
        title = f"{title} - {said['feature']}"
    taxonomy = words.CATEGORIES[values["category"][row]][1]
    store = said["brand"].lower() + ".example"
    domain = store if pick[2] < 0.5 else words.MARKETPLACES[int(pick[2] * 997) % len(words.MARKETPLACES)]
    slug = f"{collection}-{said['category']}".lower().replace(" ", "-")
    parts = [words.FILLER[int(pick[3] * len(words.FILLER))]]
    if features := mention("description", "feature", "size"):
        parts.insert(0, f"{' and '.join(features).capitalize()}.")
    looks = " ".join([*mention("description", "style", "color", "material"), said["category"]])
    place = "".join(f" for your {room}" for room in mention("description", "room"))
    parts.insert(0, f"A {looks}{place}.")
    column = {name: said[name] if told["column"][name][row] else None for name in _MENTIONED["column"]}
    return {
        "title": title,
        "description": " ".join(parts) if pick[4] < 0.85 else None,
        "merchant_domain": domain,
        "links": [f"https://{domain}/p/{slug}"] + ([f"https://{store}/{slug}"] if pick[5] < 0.2 else []),
        "google_product_category": f"Home & Garden > {taxonomy}" if pick[5] < 0.8 else None,
        "product_types": ["Home", *taxonomy.split(" > "), *([column["subtype"].title()] if column["subtype"] else [])],
        "brand": column["brand"],
        "colors": [column["color"]] if column["color"] else None,
        "materials": [column["material"]] if column["material"] else None,
        "patterns": [column["pattern"]] if column["pattern"] else None,
        "size": column["size"],
        "size_type": words.SIZE_TYPES[int(pick[4] * 997) % len(words.SIZE_TYPES)] if pick[4] < 0.5 else None,
    }


def ask(values: dict[str, np.ndarray], rng: np.random.Generator) -> tuple[dict[str, np.ndarray], list[str]]:
    """Queries that ask for some attributes of the things given.

    Returns:
        the attributes asked for, int16 [n] by name (`ABSENT` for the others), and the texts.
    """
    count = len(values["category"])
    kind = rng.choice(len(_ASKED), count, p=[share for share, _ in _ASKED])
    asked = {}
    for name in ATTRIBUTES:
        chance = np.array([chances.get(name, 0.0) for _, chances in _ASKED])[kind]
        asked[name] = np.where(rng.random(count) < chance, values[name], ABSENT).astype(np.int16)
    # Nobody asks for a plain pattern.
    asked["pattern"][asked["pattern"] == 0] = ABSENT
    said = {name: _say(name, asked[name], rng, catalog=False) for name in (*_QUERY_ORDER, "room")}
    texts = []
    for row in range(count):
        parts = [said[name][row] for name in _QUERY_ORDER if asked[name][row] != ABSENT]
        if asked["room"][row] != ABSENT:
            parts.append(f"for {said['room'][row]}" if parts else said["room"][row])
        texts.append(" ".join(parts).lower())
    return asked, texts


def _say(name: str, values: np.ndarray, rng: np.random.Generator, catalog: bool) -> list[str]:
    """A surface form of each value; catalogs hold more to the first form than people do."""
    first = 0.75 if catalog else 0.55
    forms = ATTRIBUTES[name].forms
    chosen, other = rng.random(len(values)) < first, rng.random(len(values))
    said = []
    for value, is_first, place in zip(values.tolist(), chosen.tolist(), other.tolist(), strict=True):
        choice = forms[value]
        said.append(choice[0] if is_first or len(choice) == 1 else choice[1 + int(place * (len(choice) - 1))])
    return said


def _collection(pick: float) -> str:
    starts, ends = words.COLLECTION_STARTS, words.COLLECTION_ENDS
    number = int(pick * len(starts) * len(ends))
    return starts[number // len(ends)] + ends[number % len(ends)]
