"""Which embedding columns a config relies on, and how long it expects their vectors to be."""

from typing import NamedTuple

from tfsage.config import Config, FrozenTowerConfig
from tfsage.data.schema import TABLE_OF_TYPE


class ExpectedVectors(NamedTuple):
    """
    Attributes:
        table: the table that should have the vectors.
        columns: any one of these columns will do.
        dimension: the length of every vector.
        who: the place in the config that says so.
        optional: whether the table may have none of the columns.
    """

    table: str
    columns: tuple[str, ...]
    dimension: int
    who: str
    optional: bool = False


def expected_vectors(config: Config) -> list[ExpectedVectors]:
    """What product towers with images and tasks with frozen query towers need from the tables."""
    expected = []
    for name, tower in config.towers.items():
        images = getattr(tower, "images", None)
        if images is not None:
            who = f"towers.{name}.images"
            expected.append(ExpectedVectors("products", (images.column,), images.dimension, who, images.optional))
    for task in config.tasks:
        tower = config.towers[task.query_tower]
        if task.source == "engagements" and isinstance(tower, FrozenTowerConfig):
            columns = {
                "query": ("embedding",),
                "pin": ("embedding", "image_embeddings"),
                "product": ("image_embeddings",),
            }
            who = f"tasks.{task.name} (towers.{task.query_tower})"
            table = TABLE_OF_TYPE[task.query_type]
            expected.append(ExpectedVectors(table, columns[task.query_type], tower.input_dimension, who))
    return expected
