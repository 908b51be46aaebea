"""Keeps a registry as its ModelServerConfig wants it: new versions appear, old ones go, and nobody is left without."""

import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from tfsage.console import console
from tfsage.errors import TfsageError
from tfsage.serving.model_config import ModelServerConfig, check_config
from tfsage.serving.registry import Registry, State
from tfsage.serving.status import ServingError
from tfsage.serving.versions import aspired_versions, version_folders


class ModelManager:
    """Loads what a config asks for, looks at the file system from time to time, and takes new configs.

    As under TensorFlow Serving's availability-preserving policy, an old version is unloaded only when a wanted one
    answers. A version that failed to load is tried again when it was gone in between, not before.

    Args:
        registry: what is served; the manager alone changes it.
        allow_labels_for_unavailable: let a label name a version that is not served yet, if it did not name another.
        where: the folder a `base_path` stands for, where it is not the path itself.
    """

    def __init__(
        self,
        registry: Registry,
        allow_labels_for_unavailable: bool = False,
        where: Callable[[str], Path] = Path,
    ):
        self.registry = registry
        self._allow_labels, self._where = allow_labels_for_unavailable, where
        self._config, self._monitored = ModelServerConfig(), ModelServerConfig()
        self._lock = threading.Lock()
        self._aspired: dict[str, dict[int, Path]] = {}
        self._failed: set[tuple[str, int]] = set()
        self._said: set[str] = set()
        self._stopped, self._threads = threading.Event(), []

    def reload(self, config: ModelServerConfig) -> None:
        """Serves what `config` asks for, instead of what was served; returns when it is so.

        Raises:
            ServingError: the config is refused (INVALID_ARGUMENT), a label names a version that is not served
                (FAILED_PRECONDITION; what was served is still served and polled), or a model that was not in the
                former config cannot be served (UNKNOWN).
        """
        with self._lock:
            check_config(config, self._config)
            self._config.CopyFrom(config)
            self.registry.set_labels(self._labels())
            self._monitored.CopyFrom(config)
            former = set(self._aspired)
            self._reconcile_all()
            missing = [m.name for m in config.model_config_list.config if m.name not in former]
            missing = [name for name in missing if name not in self.registry.names]
        if missing:
            reasons = "".join(f"{self._why(name)}, " for name in missing)
            raise ServingError(
                grpc.StatusCode.UNKNOWN, f"{len(missing)} model(s) did not become available: {{{reasons}}}"
            )

    def poll(self) -> None:
        """Looks at the file system once."""
        with self._lock:
            self._reconcile_all()

    def start(self, poll_seconds: float, read_config: Callable[[], ModelServerConfig] | None = None) -> None:
        """Goes on polling in the background until `close`.

        Args:
            poll_seconds: between two looks; 0 never looks again.
            read_config: also reloads what this gives, every time; errors are printed and nothing changes.
        """

        def look() -> None:
            while not self._stopped.wait(poll_seconds):
                try:
                    self.poll() if read_config is None else self.reload(read_config())
                except (TfsageError, ServingError) as error:
                    self._say(str(error))

        if poll_seconds > 0:
            self._threads.append(threading.Thread(target=look, name="poll", daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Ends polling; the registry stays as it is."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _labels(self) -> dict[str, dict[str, int]]:
        labels: dict[str, dict[str, int]] = {}
        for model in self._config.model_config_list.config:
            versions = self.registry.versions(model.name)
            for label, version in model.version_labels.items():
                former = self.registry.label(model.name, label)
                allowed = self._allow_labels and former in (None, version)
                served = version in versions and versions[version].state == State.AVAILABLE
                if not (served or allowed):
                    raise ServingError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {model.name}, which is not currently "
                        f"available for inference",
                    )
                labels.setdefault(model.name, {})[label] = version
        return labels

    def _reconcile_all(self) -> None:
        wanted = {model.name: model for model in self._monitored.model_config_list.config}
        for name in [name for name in self._aspired if name not in wanted]:
            self._reconcile(name, {})
            del self._aspired[name]
        for name, model in wanted.items():
            try:
                folders = version_folders(self._where(model.base_path))
            except OSError as error:
                self._say(f"{model.base_path}: model {name} cannot be looked for: {error.strerror}")
                self._aspired.setdefault(name, {})
                continue
            self._aspired[name] = aspired_versions(model.model_version_policy, folders)
            self._reconcile(name, self._aspired[name])

    def _reconcile(self, name: str, aspired: dict[int, Path]) -> None:
        self._failed -= {
            (model, version) for model, version in self._failed if model == name and version not in aspired
        }
        self._unload(name, aspired, keep=1)
        for version in sorted(aspired, reverse=True):
            if version not in self._available(name) and (name, version) not in self._failed:
                try:
                    self.registry.load_version(name, version, aspired[version])
                except TfsageError as error:
                    self._failed.add((name, version))
                    self._say(str(error))
        self._unload(name, aspired, keep=0 if not aspired or self._available(name) & set(aspired) else 1)

    def _unload(self, name: str, aspired: dict[int, Path], keep: int) -> None:
        """Unloads versions that are not wanted any more, lowest first, but for the `keep` highest."""
        unwanted = sorted(self._available(name) - set(aspired))
        for version in unwanted[: len(unwanted) - keep]:
            self.registry.unload_version(name, version)

    def _available(self, name: str) -> set[int]:
        return {v for v, status in self.registry.versions(name).items() if status.state == State.AVAILABLE}

    def _why(self, name: str) -> str:
        known = self.registry.versions(name)
        if not known:
            return f"{{name: {name}}} due to error: no version was found"
        newest = known[max(known)]
        return f"{{name: {name} version: {newest.version}}} due to error: {newest.error or 'it was unloaded'}"

    def _say(self, message: str) -> None:
        # A fault that lasts is said once, not every second.
        if message not in self._said:
            self._said.add(message)
            console.print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)
