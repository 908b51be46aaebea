"""From the `training.optimizer` section of a config to an optimizer."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from tfsage.config import Config, OptimizerConfig, VariableGroupConfig
from tfsage.errors import TfsageError
from tfsage.training.optimizers.adam import FusedAdam
from tfsage.training.optimizers.composite import CompositeOptimizer
from tfsage.training.optimizers.lamb import Lamb
from tfsage.training.optimizers.lazy_adam import LazyAdam
from tfsage.training.optimizers.paths import is_matrix, variable_paths
from tfsage.training.optimizers.row_wise_adagrad import RowWiseAdagrad
from tfsage.training.schedule import WarmupCosine


class _Settings(NamedTuple):
    """How a variable is trained; variables with equal settings share an optimizer."""

    table: bool
    frozen: bool
    learning_rate: float
    weight_decay: float


def build_optimizer(config: Config, model) -> CompositeOptimizer:
    """The optimizer that `training.optimizer` describes.

    `tables` says which one trains `model.table_variables`, and `kind` which trains the rest. Weight decay is decoupled
    from the gradient, and for matrices only: biases, layer norms, the temperature and the tables keep their scale (a
    decay of a table would touch every row in every step). `groups` make exceptions, by the paths of variables
    (`tfsage.training.optimizers.paths.variable_paths`); the first pattern that matches a variable counts.

    Args:
        config: `training.optimizer`, the steps of all phases, and `towers` are used.
        model: a Keras model with `trainable_variables`, `table_variables` and `towers`, all built.

    Raises:
        TfsageError: a group matches no variable that an earlier one left, its weight decay concerns no matrix, or its
            learning rate would be one for tables and other variables alike.
    """
    section = config.training.optimizer
    steps = sum(phase.steps for phase in config.training.phases)
    tables = {id(variable) for variable in model.table_variables}
    paths = variable_paths(config, model)
    members: dict[_Settings, set[int]] = {}
    owners = _owners(section.groups, [path for path, _ in paths])
    for place, group in enumerate(section.groups):
        _check(
            place,
            group,
            [(path, v, id(v) in tables) for (path, v), own in zip(paths, owners, strict=True) if own is group],
        )
    for (_, variable), group in zip(paths, owners, strict=True):
        settings = _settings(section, group, variable, id(variable) in tables)
        members.setdefault(settings, set()).add(id(variable))

    def make(settings: _Settings) -> tf_keras.optimizers.Optimizer | None:
        schedule = WarmupCosine(settings.learning_rate, section.warmup_steps, steps, section.final_scale)
        return _optimizer(section, settings, schedule)

    return CompositeOptimizer([(make(s), _is_one_of(own)) for s, own in members.items()], section.clip_norm)


def _owners(groups: tuple[VariableGroupConfig, ...], paths: list[str]) -> list[VariableGroupConfig | None]:
    """The first group whose pattern matches, for each path."""
    for place, group in enumerate(groups):
        if not any(fnmatchcase(path, group.variables) for path in paths):
            raise TfsageError(
                f"training.optimizer.groups.{place}: no variable matches {group.variables!r}; there are: "
                + ", ".join(paths)
            )
    return [next((group for group in groups if fnmatchcase(path, group.variables)), None) for path in paths]


def _check(place: int, group: VariableGroupConfig, own: list[tuple[str, tf.Variable, bool]]) -> None:
    where = f"training.optimizer.groups.{place} ({group.variables!r})"
    if not own:
        raise TfsageError(f"{where}: earlier groups match all its variables, and the first counts; put it before them")
    if group.learning_rate is not None and len({table for _, _, table in own}) > 1:
        first = next(path for path, _, table in own if table)
        raise TfsageError(
            f"{where}: learning_rate would be one for hash tables and other variables, whose optimizers need "
            f"different ones; put a group for {first!r} and its like before it"
        )
    if group.weight_decay and not any(is_matrix(variable) and not table for _, variable, table in own):
        raise TfsageError(f"{where}: weight_decay is for matrices that are no hash tables, and it has none")


def _settings(
    section: OptimizerConfig, group: VariableGroupConfig | None, variable: tf.Variable, table: bool
) -> _Settings:
    rate, decay = section.rate_of_tables if table else section.learning_rate, section.weight_decay
    if group is not None:
        if group.frozen:
            return _Settings(table=False, frozen=True, learning_rate=0.0, weight_decay=0.0)
        rate = rate if group.learning_rate is None else group.learning_rate
        decay = decay if group.weight_decay is None else group.weight_decay
    decays = is_matrix(variable) and not table
    return _Settings(table=table, frozen=False, learning_rate=rate, weight_decay=decay if decays else 0.0)


def _optimizer(
    section: OptimizerConfig, settings: _Settings, schedule: WarmupCosine
) -> tf_keras.optimizers.Optimizer | None:
    if settings.frozen:
        return None
    if settings.table:
        return {"row_wise_adagrad": RowWiseAdagrad, "lazy_adam": LazyAdam}[section.tables](schedule)
    if section.kind == "lamb":
        return Lamb(schedule, weight_decay=settings.weight_decay)
    return FusedAdam(schedule, weight_decay=settings.weight_decay or None)


def _is_one_of(own: set[int]) -> Callable[[tf.Variable], bool]:
    return lambda variable: id(variable) in own
