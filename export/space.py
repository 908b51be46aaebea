"""What makes two vectors comparable, as fingerprints: equal exactly when the towers compute the same function."""

import hashlib
import json

from tfsage.config import Config
from tfsage.data.prepared import PreparedData
from tfsage.text.vocabulary import Vocabulary
from tfsage.towers.base import Tower
from tfsage.towers.distilbert import DistilBertTower

_LENGTH = 12


def exported_names(config: Config) -> list[str]:
    """Names of the towers that a bundle holds: the product tower, then the query tower if there is one."""
    return [name for name in (config.export.product_tower, config.export.query_tower) if name is not None]


def tokenizer_fingerprint(data: PreparedData, towers: dict[str, Tower]) -> str:
    """SHA-256 over the n-gram vocabulary and the WordPiece vocabulary of every DistilBERT tower."""
    digest = hashlib.sha256(Vocabulary.load(data.vocabulary_folder).fingerprint.encode())
    for name in sorted(towers):
        if isinstance(towers[name], DistilBertTower):
            digest.update("\n".join(towers[name].tokenizer.get_vocabulary()).encode())
    return digest.hexdigest()


def hash_fingerprint(config: Config) -> str:
    """SHA-256 over the hash embeddings' settings, seeds included."""
    settings = {name: config.towers[name].model_dump(mode="json").get("hash_embedding") for name in config.towers}
    return _digest(settings)


def space_id(config: Config, towers: dict[str, Tower], tokenizer: str, hashing: str) -> str:
    """12 hexadecimal digits over the weights of the exported towers, their tokenizers, hash functions and config."""
    names = exported_names(config)
    digest = hashlib.sha256(tokenizer.encode() + hashing.encode())
    digest.update(_digest([config.towers[name].model_dump(mode="json") for name in names]).encode())
    for name in names:
        # Variables are told apart by place, not by name: Keras numbers names by what else the process has built.
        for variable in towers[name].variables:
            digest.update(f"{variable.shape} {variable.dtype.name}".encode())
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:_LENGTH]


def _digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
