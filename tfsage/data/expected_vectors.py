"""Which columns a config relies on beyond those that every table has, and how long it expects vectors to be."""

from collections.abc import Iterator
from typing import NamedTuple

from tfsage.config import Config, FrozenTowerConfig, TowerConfig
from tfsage.data.schema import ALL_TEXT_FIELDS, TABLE_OF_TYPE


class ExpectedVectors(NamedTuple):
    """
    Attributes:
        table: the table that should have the vectors.
        columns: any one of these columns will do.
        dimension: the length of every vector.
        who: the place in the config that says so.
        optional: whether the table may have none of the columns.
        instead: other tables that may have one of the columns in its stead: those of a tower that embeds them too.
    """

    table: str
    columns: tuple[str, ...]
    dimension: int
    who: str
    optional: bool = False
    instead: tuple[str, ...] = ()


def expected_vectors(config: Config) -> list[ExpectedVectors]:
    """What towers with images and embeddings and tasks with frozen query towers need from the tables."""
    expected = []
    for name, tower in config.towers.items():
        types = sorted({task.entity_type for task in config.tasks if task.candidate_tower == name}) or ["product"]
        tables = [TABLE_OF_TYPE[kind] for kind in types]
        for column, dimension, who, optional in _columns(f"towers.{name}", tower):
            for table in tables:
                others = tuple(other for other in tables if other != table)
                expected.append(ExpectedVectors(table, (column,), dimension, who, optional, others))
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


def more_texts(config: Config) -> set[str]:
    """The text fields of towers that the schema does not know."""
    fields = {field for tower in config.towers.values() for field in getattr(tower, "text_fields", ())}
    return fields - set(ALL_TEXT_FIELDS)


def _columns(who: str, tower: TowerConfig) -> Iterator[tuple[str, int, str, bool]]:
    """The embedding columns of a tower: name, dimension, who asks for it, and whether tables may be without."""
    if (images := getattr(tower, "images", None)) is not None:
        yield images.column, images.dimension, f"{who}.images", images.optional
    if (neighbours := getattr(tower, "neighbours", None)) is not None:
        yield neighbours.column, neighbours.dimension, f"{who}.neighbours", False
    for each in getattr(tower, "embeddings", ()):
        yield each.column, each.dimension, f"{who}.embeddings", False
