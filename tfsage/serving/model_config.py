"""ModelServerConfig: which models are served from where, checked as TensorFlow Serving checks it."""

import re
from collections.abc import Mapping
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from tfsage.serving.status import invalid

PLATFORM = "tensorflow"
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")

ModelServerConfig = config_pb2.ModelServerConfig


def config_of(base_paths: Mapping[str, Path]) -> ModelServerConfig:
    """The config that serves the latest version of each of these models."""
    config = ModelServerConfig()
    config.model_config_list.SetInParent()
    for name, path in base_paths.items():
        config.model_config_list.config.add(name=name, base_path=str(path.absolute()), model_platform=PLATFORM)
    return config


def check_config(new: ModelServerConfig, old: ModelServerConfig) -> None:
    """Refuses what TensorFlow Serving refuses before it loads anything.

    Args:
        new: the config that is asked for.
        old: the one in force; empty at the start.

    Raises:
        ServingError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    if new.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    names, before = set(), {model.name: model for model in old.model_config_list.config}
    for model in new.model_config_list.config:
        if model.name in names:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in new.model_config_list.config:
        if not (_URI.match(model.base_path) or Path(model.base_path).is_absolute()):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
    for model in new.model_config_list.config:
        platform = _platform(model)
        if model.name in before and platform != (former := _platform(before[model.name])):
            raise invalid(
                f"Illegal to change a model's platform. For model {model.name} platform was {former} and new platform "
                f"requested is {platform}"
            )
    for model in new.model_config_list.config:
        if _platform(model) != PLATFORM:
            raise invalid(f"Model {model.name} requests unsupported platform {_platform(model)}")


def _platform(model: config_pb2.ModelConfig) -> str:
    if model.model_type != config_pb2.MODEL_TYPE_UNSPECIFIED:
        if model.model_platform:
            raise invalid(
                f"Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_type != config_pb2.TENSORFLOW:
            raise invalid(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        return PLATFORM
    if not model.model_platform:
        raise invalid(
            f"Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    return model.model_platform
