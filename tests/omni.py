"""A config of OmniSearchSage that trains on the tiny shop in seconds."""

from tests.conftest import TINY

SEARCH = {"surface": "search", "query_tower": "text"}
TASKS = [
    {
        **SEARCH,
        "name": "pin",
        "entity_type": "pin",
        "actions": {"save": 1, "long_click": 2},
        "candidate_tower": "unified",
    },
    {"name": "pin_frozen", "pairs_of": "pin", "query_tower": "text", "candidate_tower": "pinsage"},
    {**SEARCH, "name": "product", "actions": {"save": 1, "long_click": 1}, "candidate_tower": "unified", "share": 0.5},
    {"name": "product_frozen", "pairs_of": "product", "query_tower": "text", "candidate_tower": "images"},
    {
        **SEARCH,
        "name": "offsite",
        "surface": "offsite",
        "actions": {"add_to_cart": 1, "checkout": 1},
        "candidate_tower": "unified",
        "share": 0.25,
    },
    {
        **SEARCH,
        "name": "related",
        "entity_type": "query",
        "actions": {"click": 1},
        "candidate_tower": "text",
        "share": 0.25,
    },
]
TOWERS = {
    "text": {
        "kind": "distilbert",
        "vocabulary_size": 500,
        "layers": 1,
        "heads": 2,
        "width": 16,
        "feed_forward": 32,
    },
    "unified": {
        "kind": "unified",
        "text_fields": ["title", "description", "captions"],
        "images": {},
        "embeddings": [{"column": "embedding"}],
        "hash_embedding": {"buckets": 500, "dimension": 32},
        "hidden": [32],
    },
    "pinsage": {"kind": "compatibility", "column": "embedding"},
    "images": {"kind": "compatibility", "column": "image_embeddings"},
}
OMNI = {
    **TINY,
    "towers": TOWERS,
    "tasks": TASKS,
    "evaluation": {"bootstrap": 100, "distractors": 150},
    "export": {"product_tower": "unified", "query_tower": "text", "recall_target": 0.9},
}
PAIRS = 48
POOLS = {
    "unified_pin": ["pin"],
    "pinsage_pin": ["pin_frozen"],
    "unified": ["product", "offsite"],
    "images": ["product_frozen"],
    "text_query": ["related"],
}
"""Pool → its tasks."""
