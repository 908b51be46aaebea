"""The flags of `tensorflow_model_server` that `tfsage serve` understands, and what becomes of them."""

from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import Message
from tensorflow.core.protobuf import config_pb2

from tfsage.bundle import Bundle
from tfsage.errors import TfsageError
from tfsage.serving.batching import Batcher
from tfsage.serving.batching_options import BatchingOptions
from tfsage.serving.model_config import ModelServerConfig, config_of
from tfsage.serving.protos import MonitoringConfig, read_textproto
from tfsage.serving.registry import Registry

BUNDLE_MOUNT = Path("/models/bundle")
"""Where serving_configs/models.config expects the bundle: containers mount it there."""

_METRICS_PATH = "/monitoring/prometheus/metrics"


class Flags(NamedTuple):
    """Named, and meant, as by TensorFlow Serving; see serving_configs/README.md."""

    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0.0
    file_system_poll_wait_seconds: float = 1.0
    allow_version_labels_for_unavailable_models: bool = False
    enable_batching: bool = False
    batching_parameters_file: Path | None = None
    monitoring_config_file: Path | None = None
    ssl_config_file: Path | None = None
    tensorflow_session_config_file: Path | None = None
    grpc_max_threads: int = 64
    rest_api_timeout_in_ms: int = 30_000

    def model_config(self, bundle: Bundle | None) -> ModelServerConfig:
        """What to serve: the file, or else the towers of the bundle.

        Raises:
            TfsageError: there is neither, or the file is not a ModelServerConfig.
        """
        if self.model_config_file is not None:
            return read_textproto(self.model_config_file, ModelServerConfig())
        if bundle is None:
            raise TfsageError("nothing to serve; give --root (a folder of bundles) or --model-config-file")
        return config_of(base_paths(bundle))

    def registry(self) -> Registry:
        """An empty registry whose sessions and batches are as these flags say.

        Raises:
            TfsageError: a file is damaged, or batching parameters are given without batching.
        """
        if self.batching_parameters_file is not None and not self.enable_batching:
            raise TfsageError("--batching-parameters-file needs --enable-batching; add it, or leave the file out")
        options = BatchingOptions()
        if self.batching_parameters_file is not None:
            options = BatchingOptions.read(self.batching_parameters_file)
        session = None
        if self.tensorflow_session_config_file is not None:
            session = read_textproto(self.tensorflow_session_config_file, config_pb2.ConfigProto())
        return Registry(session, Batcher(options) if self.enable_batching else None)

    def metrics_path(self) -> str | None:
        """Where REST shows the metrics, or None.

        Raises:
            TfsageError: the monitoring config is damaged.
        """
        if self.monitoring_config_file is None:
            return None
        config: Message = read_textproto(self.monitoring_config_file, MonitoringConfig())
        return (config.prometheus_config.path or _METRICS_PATH) if config.prometheus_config.enable else None


FLAGS = Flags()
"""What holds without any flag."""


def base_paths(bundle: Bundle) -> dict[str, Path]:
    """The folders of a bundle's towers, which hold their version folders, by model name."""
    towers = {"query_tower": bundle.query_tower, "product_tower": bundle.product_tower}
    return {name: folder.parent for name, folder in towers.items() if folder is not None}


def mounted(base_path: str, bundle: Bundle | None) -> Path:
    """The folder of a base path, with the bundle mounted at `BUNDLE_MOUNT` as in a container."""
    path = Path(base_path)
    if bundle is not None and path.is_relative_to(BUNDLE_MOUNT) and ".." not in path.parts:
        return bundle.folder / path.relative_to(BUNDLE_MOUNT)
    return path
