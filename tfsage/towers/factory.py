"""From the `towers` section of a config to towers."""

from pathlib import Path

from tfsage.config import Config
from tfsage.data.schema import ALL_TEXT_FIELDS
from tfsage.errors import TfsageError
from tfsage.text.hash_embedding import HashEmbedding
from tfsage.text.tokenizer import NgramTokenizer
from tfsage.text.vocabulary import Vocabulary
from tfsage.towers.base import Tower
from tfsage.towers.baselines import MlpConcatMlpTower, SumTower
from tfsage.towers.compatibility import CompatibilityTower
from tfsage.towers.product import ItemSageTower
from tfsage.towers.query import FrozenTower, NgramTower
from tfsage.towers.unified import UnifiedTower

TOWERS = {
    "itemsage": ItemSageTower,
    "mlp_concat_mlp": MlpConcatMlpTower,
    "sum": SumTower,
    "unified": UnifiedTower,
    "compatibility": CompatibilityTower,
    "ngram": NgramTower,
    "frozen": FrozenTower,
}
"""Kind -> class, all called as Tower(section, tokenizer, hash_embedding, name=...)."""


def build_towers(
    config: Config, vocabulary: Vocabulary | None, wordpiece: Path | None, text_fields: tuple[str, ...]
) -> dict[str, Tower]:
    """Every tower of a config, by name.

    Towers share one tokenizer. A tower has a hash embedding of its own, unless `share_embedding` names the tower whose
    it uses (through any number of towers): then its own `hash_embedding` section is not used.

    Args:
        config: its `text` and `towers` sections are used.
        vocabulary: needed if a tower reads n-grams.
        wordpiece: vocabulary file, needed if a DistilBERT tower starts from scratch.
        text_fields: the text columns of the data, of all its tables.

    Raises:
        TfsageError: a tower reads n-grams and there is no vocabulary, or one of another tokenization; it reads a text
            field that is neither in the data nor one that tables may leave out; it shares the embedding of a tower
            that has none.
    """
    sections = config.towers
    owners = {name: _embedding_owner(name, sections) for name in sections if _reads_ngrams(sections[name])}
    for name, section in sections.items():
        _check_text_fields(name, getattr(section, "text_fields", ()), text_fields)
    tokenizer, embeddings = None, {}
    if owners:
        if vocabulary is None:
            raise TfsageError(f"towers {sorted(owners)} read n-grams, and there is no vocabulary; run `tfsage prepare`")
        tokenizer = NgramTokenizer(vocabulary, config.text)
        for owner in sorted(set(owners.values())):
            embeddings[owner] = HashEmbedding.for_vocabulary(
                vocabulary, sections[owner].hash_embedding, name=f"{owner}_hash_embedding"
            )
    towers = {}
    for name, section in sections.items():
        if section.kind == "distilbert":
            # keras-nlp takes seconds to import, and most configs do without it.
            from tfsage.towers.distilbert import DistilBertTower

            towers[name] = DistilBertTower(section, wordpiece, name=name)
        else:
            reads = name in owners
            towers[name] = TOWERS[section.kind](
                section, tokenizer if reads else None, embeddings[owners[name]] if reads else None, name=name
            )
    return towers


def _reads_ngrams(section) -> bool:
    return section.kind == "ngram" or bool(getattr(section, "text_fields", ()))


def _embedding_owner(name: str, sections) -> str:
    """The tower whose own hash embedding the tower `name` uses."""
    seen = [name]
    while shared := getattr(sections[seen[-1]], "share_embedding", None):
        if shared in seen:
            raise TfsageError(f"towers.{name}.share_embedding: the towers {[*seen, shared]} share in a circle")
        seen.append(shared)
    if not _reads_ngrams(sections[seen[-1]]):
        raise TfsageError(f"towers.{name}.share_embedding: tower {seen[-1]!r} has no hash embedding; it reads no text")
    return seen[-1]


def _check_text_fields(name: str, wanted: tuple[str, ...], present: tuple[str, ...]) -> None:
    if unknown := sorted(set(wanted) - set(present) - set(ALL_TEXT_FIELDS)):
        raise TfsageError(f"towers.{name}.text_fields: no column {unknown}; the data has {sorted(present)}")
