"""Which models are served, in which state each version is, and which version a request means."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import grpc
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from tfsage.errors import TfsageError
from tfsage.serving.batching import Batcher
from tfsage.serving.model import Model
from tfsage.serving.ops_allowlist import check_servable_ops
from tfsage.serving.status import ServingError, invalid
from tfsage.serving.versions import version_folders
from tfsage.serving.warmup import replay_warmup_requests

State = get_model_status_pb2.ModelVersionStatus
_LAST_CALLS_SECONDS = 10.0


class VersionStatus(NamedTuple):
    """What is known of a version: one of TensorFlow Serving's states, and what kept it from being served."""

    version: int
    state: int
    error: ServingError | None = None


class _Version:
    """A version in the registry, whose lock guards it. users: calls that are under way."""

    def __init__(self):
        self.state, self.error, self.model, self.users = State.START, None, None, 0


class Registry:
    """Models by name and version; only what is fully loaded and warmed up is found.

    A version that was unloaded or could not be loaded stays listed, as TensorFlow Serving lists it.

    Args:
        session_config: threads and devices of every model's session.
        batcher: merges the calls of every model; it is closed with the registry.
    """

    def __init__(self, session_config: config_pb2.ConfigProto | None = None, batcher: Batcher | None = None):
        self._session_config, self._batcher = session_config, batcher
        self._changed = threading.Condition()
        self._models: dict[str, dict[int, _Version]] = {}
        self._labels: dict[str, dict[str, int]] = {}

    def load(self, name: str, base_path: Path) -> Model:
        """Loads the highest version below `base_path`, whose version folders are named by their numbers.

        Raises:
            TfsageError: there is no version, or as `load_version`.
        """
        folders = version_folders(base_path) if base_path.is_dir() else {}
        if not folders:
            raise TfsageError(
                f"{base_path}: model {name} has no version here (expected a folder named by a number, like `1`); "
                f"export the bundle again"
            )
        return self.load_version(name, max(folders), folders[max(folders)])

    def load_version(self, name: str, version: int, folder: Path) -> Model:
        """Loads one version and offers it when it is warm.

        Raises:
            TfsageError: it does not load, it uses ops that stock TensorFlow Serving lacks, or one of its warm-up
                records fails.
        """
        entry = _Version()
        with self._changed:
            self._models.setdefault(name, {})[version] = entry
            entry.state = State.LOADING
        try:
            model = self._loaded(name, version, folder)
        except BaseException as error:
            with self._changed:
                entry.state = State.END
                entry.error = ServingError(grpc.StatusCode.UNKNOWN, str(error))
            raise
        with self._changed:
            entry.model, entry.state = model, State.AVAILABLE
        return model

    def _loaded(self, name: str, version: int, folder: Path) -> Model:
        if unknown := check_servable_ops(folder):
            raise TfsageError(
                f"{folder}: model {name} uses operations that stock TensorFlow Serving does not have: "
                f"{', '.join(unknown)}; export a tower without them"
            )
        model = Model.load(name, version, folder, self._session_config, self._batcher)
        try:
            replay_warmup_requests(model, folder)
        except BaseException:
            model.close()
            raise
        return model

    def unload_version(self, name: str, version: int, seconds: float | None = None) -> None:
        """Takes no new calls for a version, waits for those under way, and frees it.

        Args:
            seconds: how long to wait; a version that is still in use then is not freed. None waits for ever.
        """
        entry = self._models[name][version]
        with self._changed:
            entry.state = State.UNLOADING
            if not self._changed.wait_for(lambda: entry.users == 0, seconds):
                return
            model, entry.model = entry.model, None
        model.close()
        with self._changed:
            entry.state = State.END

    def set_labels(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """The version that each label of each model means; replaces all former labels."""
        self._labels = {name: dict(versions) for name, versions in labels.items()}

    def label(self, name: str, label: str) -> int | None:
        """The version that a label means, or None."""
        return self._labels.get(name, {}).get(label)

    def find(self, spec: model_pb2.ModelSpec) -> Model:
        """The model that `spec` means: its version or label, or the highest version when it names none.

        Raises:
            ServingError: no name or an unknown label (INVALID_ARGUMENT), or no such model or version (NOT_FOUND).
        """
        return self._find(spec).model

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[Model]:
        """As `find`, and keeps the model from being freed while the block runs."""
        with self._changed:
            entry = self._find(spec)
            entry.users += 1
            model = entry.model
        try:
            yield model
        finally:
            with self._changed:
                entry.users -= 1
                if entry.users == 0 and entry.state == State.UNLOADING:
                    self._changed.notify_all()

    def _find(self, spec: model_pb2.ModelSpec) -> _Version:
        name = spec.name
        if not name:
            raise invalid("ModelSpec has no name specified.")
        wanted = spec.version.value if spec.HasField("version") else None
        if spec.WhichOneof("version_choice") == "version_label":
            wanted = self.label(name, spec.version_label)
            if wanted is None:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        entries = self._models.get(name, {})
        if wanted is None:
            request = f"Latest({name})"
            wanted = max((v for v, entry in entries.items() if entry.state == State.AVAILABLE), default=None)
        else:
            request = f"Specific({name}, {wanted})"
        if wanted not in entries or entries[wanted].state != State.AVAILABLE:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return entries[wanted]

    def status(self, spec: model_pb2.ModelSpec) -> list[VersionStatus]:
        """The versions that `spec` names, newest first; a label is ignored, as in TensorFlow Serving.

        Raises:
            ServingError: NOT_FOUND.
        """
        known = self.versions(spec.name)
        if spec.HasField("version"):
            version = spec.version.value
            if version not in known:
                raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            return [known[version]]
        if not known:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        return [known[version] for version in sorted(known, reverse=True)]

    def versions(self, name: str) -> dict[int, VersionStatus]:
        """Every version that was ever loaded under this name, or that was tried."""
        with self._changed:
            entries = self._models.get(name, {})
            return {version: VersionStatus(version, entry.state, entry.error) for version, entry in entries.items()}

    @property
    def names(self) -> list[str]:
        """The models that can be asked."""
        with self._changed:
            models = self._models.items()
            return sorted(n for n, vs in models if any(v.state == State.AVAILABLE for v in vs.values()))

    def close(self) -> None:
        """Frees every model, and the batcher; calls under way are waited for, but not for ever."""
        for name in list(self._models):
            for version, status in self.versions(name).items():
                if status.state == State.AVAILABLE:
                    self.unload_version(name, version, _LAST_CALLS_SECONDS)
        self._models.clear()
        if self._batcher is not None:
            self._batcher.close()


def load_registry(base_paths: Mapping[str, Path]) -> Registry:
    """A registry with the highest version of each model; nothing stays loaded when one of them fails.

    Raises:
        TfsageError: as `Registry.load`.
    """
    registry = Registry()
    try:
        for name, base_path in base_paths.items():
            registry.load(name, base_path)
    except BaseException:
        registry.close()
        raise
    return registry
