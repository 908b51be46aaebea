"""What towers read and entities do not have: zeros stand for it, and whoever reads a report should know."""

from typing import NamedTuple

from tfsage.config import Config, FrozenTowerConfig
from tfsage.data.catalog import embedding_column
from tfsage.data.features import candidate_features, shares_without
from tfsage.data.prepared import PreparedData


class MissingFeature(NamedTuple):
    """One column that towers read of one entity type.

    Attributes:
        entity_type: product, pin or query.
        feature: name of the column.
        towers: those that read it, as the config names them.
        missing: share of the entities for which zeros stand for it, or no token at all.
        absent: whether the table has no such column.
    """

    entity_type: str
    feature: str
    towers: list[str]
    missing: float
    absent: bool


def missing_features(data: PreparedData, config: Config) -> list[MissingFeature]:
    """Every column of texts, images and embeddings that the towers of the tasks read, but for the texts of queries.

    No query is without a text. Towers of entities that the tables do not have are left out.
    """
    found: dict[tuple[str, str], MissingFeature] = {}
    read = [(task.candidate_tower, task.entity_type) for task in config.tasks]
    read += [(task.query_tower, task.query_type) for task in config.tasks if task.source == "engagements"]
    for tower, kind in dict.fromkeys(read):
        if kind not in data.entity_types:
            continue
        section = config.towers[tower]
        if isinstance(section, FrozenTowerConfig):
            shares, absent = _frozen(data, kind), []
        else:
            features = candidate_features(data, section, kind)
            shares, absent = features.missing, features.absent
        for feature, share in shares.items():
            each = MissingFeature(kind, feature, [], share, feature in absent)
            found.setdefault((kind, feature), each).towers.append(tower)
    return list(found.values())


def _frozen(data: PreparedData, kind: str) -> dict[str, float]:
    """Of the column whose vectors stand for queries of a type."""
    entity = data.entity(kind)
    column = "image_embeddings" if kind == "product" else embedding_column(entity.embedding_columns)
    if column not in entity.embedding_columns:
        return {}
    return {column: float(shares_without(entity.vectors(column))[0])}
