"""One YAML file describes a whole run; this package is its schema, a module per section.

Every section has working defaults, unknown keys are refused, and a resolved copy is kept in the run folder.
"""

from tfsage.config.data import EnrichConfig, PrepareConfig, SplitConfig, TextConfig
from tfsage.config.files import load_config, save_config, with_seed
from tfsage.config.health import DoctorConfig
from tfsage.config.loss import FrequencyConfig, HardNegativesConfig, LossConfig
from tfsage.config.root import Config, EvaluationConfig, ExportConfig
from tfsage.config.tasks import TaskConfig
from tfsage.config.towers import (
    TEXT_FIELDS,
    CompatibilityTowerConfig,
    DistilBertTowerConfig,
    EmbeddingConfig,
    FrozenTowerConfig,
    HashEmbeddingConfig,
    ImageConfig,
    ItemSageTowerConfig,
    MlpConcatMlpTowerConfig,
    NeighbourConfig,
    NgramTowerConfig,
    SumTowerConfig,
    TowerConfig,
    UnifiedTowerConfig,
)
from tfsage.config.training import OptimizerConfig, PhaseConfig, TrainingConfig, VariableGroupConfig

__all__ = [
    "TEXT_FIELDS",
    "CompatibilityTowerConfig",
    "Config",
    "DistilBertTowerConfig",
    "DoctorConfig",
    "EmbeddingConfig",
    "EnrichConfig",
    "EvaluationConfig",
    "ExportConfig",
    "FrequencyConfig",
    "FrozenTowerConfig",
    "HardNegativesConfig",
    "HashEmbeddingConfig",
    "ImageConfig",
    "ItemSageTowerConfig",
    "LossConfig",
    "MlpConcatMlpTowerConfig",
    "NeighbourConfig",
    "NgramTowerConfig",
    "OptimizerConfig",
    "PhaseConfig",
    "PrepareConfig",
    "SplitConfig",
    "SumTowerConfig",
    "TaskConfig",
    "TextConfig",
    "TowerConfig",
    "TrainingConfig",
    "UnifiedTowerConfig",
    "VariableGroupConfig",
    "load_config",
    "save_config",
    "with_seed",
]
