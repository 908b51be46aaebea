"""Configs as YAML files."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from tfsage.config.root import Config
from tfsage.errors import TfsageError


def load_config(path: str | Path) -> Config:
    """Reads and checks a YAML config.

    Raises:
        TfsageError: the file is missing, is not YAML, or has an unknown key or a wrong value; every problem is named.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TfsageError(f"{path}: no such config file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TfsageError(f"{path}: not a YAML file: {error}") from None
    if not isinstance(raw, dict):
        raise TfsageError(f"{path}: expected sections (towers, tasks, ...), got {type(raw).__name__}")
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = "\n".join(_describe(problem) for problem in error.errors())
        raise TfsageError(f"{path}: the config is not valid:\n{problems}") from None


def with_seed(config: Config, seed: int) -> Config:
    """The same config with another seed, of the order of training and of what weights and hash functions start from."""
    raw = config.model_dump()
    raw["training"]["seed"] = seed
    for tower in raw["towers"].values():
        if "hash_embedding" in tower:
            tower["hash_embedding"]["seed"] += seed - config.training.seed
    return Config.model_validate(raw)


def save_config(config: Config, path: str | Path) -> None:
    """Writes the config with every default spelled out, so that a run can be repeated after defaults change."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def _describe(problem: dict) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "config"
    if problem["type"] == "extra_forbidden":
        return f"  {where}: unknown key; remove it or check its spelling"
    return f"  {where}: {problem['msg']}"
