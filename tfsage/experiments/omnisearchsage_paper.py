"""What OmniSearchSage (2024) says of its own comparisons: the figures of tables 3 to 6, and the claims made of them.

Relevance judged by people, which the tables have beside engagement, has no counterpart on a synthetic shop.
"""

from tfsage.experiments.claims import Claim, Paper

PINS = ("pin_save", "pin_long_click")
PRODUCTS = ("product_save", "product_long_click")
RELATED = ("query_click",)
LEARNED = PINS + PRODUCTS + RELATED
"""Tasks of the learned encoders: query to pin, query to product, query to query."""
FROZEN = ("pin_frozen_save", "pin_frozen_long_click", "product_frozen_save", "product_frozen_long_click")
"""Those of the compatibility encoders, over the same pairs."""


def _figures(tasks: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(tasks, values, strict=True))


TABLE_3 = Paper(
    "OmniSearchSage, table 3",
    figures={"captions": _figures(PINS, 0.66, 0.76), "no_captions": _figures(PINS, 0.51, 0.60)},
    parameters={},
    claims=(Claim("Captions find more of the pins without text", "§4.3.2", "captions", "no_captions", PINS),),
)

_STEPS = ("continuous", "native_text", "board_titles", "engaged_queries")

TABLE_4 = Paper(
    "OmniSearchSage, table 4",
    figures=dict(
        zip(
            _STEPS,
            (
                _figures(PINS, 0.43, 0.53),
                _figures(PINS, 0.52, 0.63),
                _figures(PINS, 0.61, 0.68),
                _figures(PINS, 0.65, 0.73),
            ),
            strict=True,
        )
    ),
    parameters={},
    claims=(
        Claim("Titles, descriptions and captions add to embeddings", "§4.3.2", "native_text", "continuous", PINS),
        Claim("Board titles add to those", "§4.3.2", "board_titles", "native_text", PINS),
        Claim("Engaged queries add to those", "§4.3.2", "engaged_queries", "board_titles", PINS),
    ),
)

_ALL_TASKS = _figures(LEARNED, 0.65, 0.73, 0.73, 0.73, 0.78)

TABLE_5 = Paper(
    "OmniSearchSage, table 5",
    figures={
        "omnisearchsage": _ALL_TASKS,
        "pin_only": _figures(PINS, 0.68, 0.75),
        "product_only": _figures(PRODUCTS, 0.73, 0.73),
        "query_only": _figures(RELATED, 0.73),
    },
    parameters={},
    claims=(
        Claim("All tasks lose 5 % at most to pins alone", "§4.3.3", "omnisearchsage", "pin_only", PINS, -0.05),
        Claim(
            "All tasks lose 1 % at most to products alone", "§4.3.3", "omnisearchsage", "product_only", PRODUCTS, -0.01
        ),
        Claim("All tasks are above related queries alone", "§4.3.3", "omnisearchsage", "query_only", RELATED),
    ),
)

TABLE_6 = Paper(
    "OmniSearchSage, table 6",
    figures={
        "omnisearchsage": _figures(FROZEN, 0.39, 0.43, 0.57, 0.57) | _ALL_TASKS,
        "searchsage": _figures(FROZEN, 0.39, 0.45, 0.57, 0.58),
        "learned_only": dict.fromkeys(LEARNED),
    },
    parameters={},
    claims=(
        Claim("Compatibility loses 5 % at most to SearchSage", "§4.3.4", "omnisearchsage", "searchsage", FROZEN, -0.05),
        Claim(
            "Learned encoders lose 5 % at most by compatibility",
            "§4.3.4",
            "omnisearchsage",
            "learned_only",
            LEARNED,
            -0.05,
        ),
    ),
)
