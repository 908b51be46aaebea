"""What ItemSage (KDD'22) says of its own comparisons: the figures of tables 2 and 3, and the claims made of them."""

from tfsage.experiments.claims import Claim, Paper

CLOSEUP = ("closeup_click", "closeup_save", "closeup_add_to_cart", "closeup_checkout")
SEARCH = ("search_click", "search_save", "search_add_to_cart", "search_checkout")
TASKS = CLOSEUP + SEARCH
"""The eight benchmarks of §4.1.1, in the order of the tables' columns."""
REGULAR = ("closeup_click", "closeup_save", "search_click", "search_save")
SHOPPING = ("closeup_add_to_cart", "closeup_checkout", "search_add_to_cart", "search_checkout")
_SEARCH_SHOPPING = ("search_add_to_cart", "search_checkout")


def _figures(*values: float | None) -> dict[str, float]:
    return {task: value for task, value in zip(TASKS, values, strict=True) if value is not None}


_ITEMSAGE = _figures(0.816, 0.812, 0.897, 0.916, 0.749, 0.762, 0.842, 0.869)
_NOT_GIVEN = (None,) * 4

TABLE_2 = Paper(
    "ItemSage, table 2",
    figures={
        "itemsage": _ITEMSAGE,
        "sum": _figures(0.663, 0.647, 0.669, 0.699, *_NOT_GIVEN),
        "sum_mlp": _figures(*_NOT_GIVEN, 0.577, 0.533, 0.561, 0.629),
        "mlp_concat_mlp": _figures(0.805, 0.794, 0.896, 0.916, 0.723, 0.736, 0.834, 0.861),
        "layers_2": _figures(0.815, 0.809, 0.895, 0.913, 0.745, 0.759, 0.837, 0.867),
        "layers_3": _figures(0.815, 0.810, 0.896, 0.915, 0.747, 0.758, 0.841, 0.869),
        "layers_4": _figures(0.816, 0.813, 0.897, 0.915, 0.750, 0.764, 0.840, 0.869),
    },
    parameters={"itemsage": 33.1, "mlp_concat_mlp": 30.8, "layers_2": 36.3, "layers_3": 39.4, "layers_4": 42.6},
    claims=(
        Claim("ItemSage outperforms Sum on Closeup", "§4.1.2", "itemsage", "sum", CLOSEUP),
        Claim("ItemSage outperforms Sum-MLP on Search", "§4.1.2", "itemsage", "sum_mlp", SEARCH),
        Claim("ItemSage is above MLP-Concat-MLP on all tasks", "§4.1.2", "itemsage", "mlp_concat_mlp", TASKS),
        Claim("MLP-Concat-MLP is above Sum on Closeup", "table 2", "mlp_concat_mlp", "sum", CLOSEUP),
        Claim("MLP-Concat-MLP is above Sum-MLP on Search", "table 2", "mlp_concat_mlp", "sum_mlp", SEARCH),
        *(
            Claim(f"{layers} layers bring no more than 1 %", "§4.1.2", "itemsage", f"layers_{layers}", TASKS, -0.01)
            for layers in (2, 3, 4)
        ),
    ),
)

TABLE_3 = Paper(
    "ItemSage, table 3",
    figures={
        "itemsage": _ITEMSAGE,
        "image_only": _figures(0.795, 0.787, 0.882, 0.908, 0.670, 0.698, 0.798, 0.830),
        "text_only": _figures(0.683, 0.658, 0.832, 0.859, 0.669, 0.665, 0.790, 0.820),
        "graph": _figures(0.814, 0.812, 0.893, 0.905, 0.743, 0.767, 0.842, 0.860),
        "pos_only": _figures(0.597, 0.602, 0.717, 0.772, 0.553, 0.544, 0.662, 0.724),
        "neg_only": _figures(0.774, 0.768, 0.868, 0.897, 0.655, 0.670, 0.804, 0.840),
        "mixed": _figures(0.781, 0.774, 0.860, 0.884, 0.687, 0.706, 0.809, 0.838),
        "closeup": _figures(0.815, 0.811, 0.891, 0.909, *_NOT_GIVEN),
        "search": _figures(*_NOT_GIVEN, 0.760, 0.766, 0.830, 0.861),
        "regular": _figures(0.819, 0.812, 0.869, 0.894, 0.755, 0.768, 0.689, 0.765),
        "shopping": _figures(0.503, 0.503, 0.850, 0.882, 0.382, 0.392, 0.768, 0.793),
    },
    parameters={},
    claims=(
        Claim("Both modalities are above images alone", "§4.1.3", "itemsage", "image_only", TASKS),
        Claim("Both modalities are above text alone", "§4.1.3", "itemsage", "text_only", TASKS),
        Claim("Images alone are above text alone", "§4.1.3", "image_only", "text_only", TASKS),
        Claim("Graph neighbours bring no more than 1 %", "§4.1.3", "itemsage", "graph", TASKS, -0.01),
        Claim("L_pos + L_neg is above L_pos alone", "§4.1.4", "itemsage", "pos_only", TASKS),
        Claim("L_pos + L_neg is above L_neg alone", "§4.1.4", "itemsage", "neg_only", TASKS),
        Claim("L_pos + L_neg is 3.5 % or more above L_mixed", "§4.1.4", "itemsage", "mixed", TASKS, 0.035),
        Claim("Both surfaces are above Closeup alone on Closeup", "§4.1.5", "itemsage", "closeup", CLOSEUP),
        Claim("Both surfaces are above Search alone for shopping", "§4.1.5", "itemsage", "search", _SEARCH_SHOPPING),
        Claim("Both surfaces lose 2 % at most to Search alone", "§4.1.5", "itemsage", "search", SEARCH[:2], -0.02),
        Claim("All engagement is above clicks and saves for shopping", "§4.1.5", "itemsage", "regular", SHOPPING),
        Claim("All engagement loses 1 % at most on clicks and saves", "§4.1.5", "itemsage", "regular", REGULAR, -0.01),
        Claim("All engagement is above shopping alone for shopping", "§4.1.5", "itemsage", "shopping", SHOPPING, 0.0),
    ),
)
