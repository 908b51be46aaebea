"""Which models are served, and which version a request means."""

from collections.abc import Mapping
from pathlib import Path

import grpc
from tensorflow_serving.apis import model_pb2

from tfsage.errors import TfsageError
from tfsage.serving.model import Model
from tfsage.serving.ops_allowlist import check_servable_ops
from tfsage.serving.status import ServingError, invalid
from tfsage.serving.warmup import replay_warmup_requests


class Registry:
    """Loaded models by name and version; only what is fully loaded and warmed up is in it."""

    def __init__(self):
        self._models: dict[str, dict[int, Model]] = {}

    def load(self, name: str, base_path: Path) -> Model:
        """Loads the highest version below `base_path`, whose version folders are named by their numbers.

        Raises:
            TfsageError: there is no version, it does not load, it uses ops that stock TensorFlow Serving lacks, or
                one of its warm-up records fails.
        """
        version, folder = _highest_version(name, base_path)
        if unknown := check_servable_ops(folder):
            raise TfsageError(
                f"{folder}: model {name} uses operations that stock TensorFlow Serving does not have: "
                f"{', '.join(unknown)}; export a tower without them"
            )
        model = Model.load(name, version, folder)
        replay_warmup_requests(model, folder)
        self._models.setdefault(name, {})[version] = model
        return model

    def find(self, spec: model_pb2.ModelSpec) -> Model:
        """The model that `spec` means: its version, or the highest one when it names none.

        Raises:
            ServingError: no name (INVALID_ARGUMENT), a label (INVALID_ARGUMENT: there are none), or no such model or
                version (NOT_FOUND).
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.WhichOneof("version_choice") == "version_label":
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        versions = self._models.get(spec.name, {})
        if spec.HasField("version"):
            wanted, request = spec.version.value, f"Specific({spec.name}, {spec.version.value})"
        else:
            wanted, request = max(versions, default=None), f"Latest({spec.name})"
        if wanted not in versions:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        return versions[wanted]

    def versions(self, spec: model_pb2.ModelSpec) -> list[int]:
        """The loaded versions that `spec` names, newest first; a label is ignored, as in TensorFlow Serving.

        Raises:
            ServingError: NOT_FOUND.
        """
        loaded = self._models.get(spec.name, {})
        if spec.HasField("version"):
            version = spec.version.value
            if version not in loaded:
                raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            return [version]
        if not loaded:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        return sorted(loaded, reverse=True)

    @property
    def names(self) -> list[str]:
        return sorted(self._models)

    def close(self) -> None:
        for versions in self._models.values():
            for model in versions.values():
                model.close()
        self._models.clear()


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


def _highest_version(name: str, base_path: Path) -> tuple[int, Path]:
    folders = [path for path in base_path.iterdir() if path.is_dir()] if base_path.is_dir() else []
    numbered = {int(path.name): path for path in folders if path.name.isdecimal()}
    if not numbered:
        raise TfsageError(
            f"{base_path}: model {name} has no version here (expected a folder named by a number, like `1`); "
            f"export the bundle again"
        )
    version = max(numbered)
    return version, numbered[version]
