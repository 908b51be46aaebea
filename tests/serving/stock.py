"""Stock TensorFlow Serving for the tests over the wire, where there is one.

Either `tensorflow_model_server` is on the PATH and is started here, or a running server is named:

    python -m tests.serving.stock DIR                  # writes the models and models.config, for a container to mount
    docker run --rm -p 8500:8500 -p 8501:8501 -v DIR:DIR tensorflow/serving:2.20.0 \
        --model_config_file=DIR/models.config --monitoring_config_file=DIR/monitoring.config
    TFSAGE_MODEL_SERVER_ADDRESS=127.0.0.1:8500,127.0.0.1:8501 pytest tests/serving
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.serving.example_models import Reader
from tests.serving.models import Calculator, write_bundle
from tfsage.bundle import Bundle
from tfsage.serving.flags import base_paths
from tfsage.serving.model_config import config_of
from tfsage.serving.server import bind

BINARY, ADDRESS = "tensorflow_model_server", "TFSAGE_MODEL_SERVER_ADDRESS"
METRICS_PATH = "/monitoring/prometheus/metrics"
_START_SECONDS = 120


class StockServer(NamedTuple):
    """Where it listens."""

    grpc_address: str
    rest_address: str


def is_there() -> bool:
    return bool(os.environ.get(ADDRESS) or shutil.which(BINARY))


def write_models(folder: Path, bundle: Bundle) -> dict[str, Path]:
    """Saves the models that the tests ask beside the bundle's towers; gives every model's base path."""
    Calculator().save(folder / "calculator" / "7")
    Reader().save(folder / "reader" / "3")
    return {**base_paths(bundle), "calculator": folder / "calculator", "reader": folder / "reader"}


def write_configs(folder: Path, models: dict[str, Path]) -> None:
    """Writes models.config and monitoring.config for these models."""
    (folder / "models.config").write_text(str(config_of(models)))
    (folder / "monitoring.config").write_text(f'prometheus_config {{ enable: true path: "{METRICS_PATH}" }}\n')


@contextlib.contextmanager
def stock_server(folder: Path) -> Iterator[StockServer]:
    """The named server, or one that is started with the configs in `folder`."""
    if named := os.environ.get(ADDRESS):
        yield StockServer(*named.split(","))
        return
    ports = [bind("127.0.0.1", 0).getsockname()[1] for _ in range(2)]
    server = StockServer(*(f"127.0.0.1:{port}" for port in ports))
    files = [
        f"--{name}_config_file={folder}/{file}.config" for name, file in (("model", "models"), ("monitoring",) * 2)
    ]
    with subprocess.Popen([BINARY, f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *files]) as process:
        try:
            _wait_for(f"http://{server.rest_address}/v1/models/calculator/metadata", process)
            yield server
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{BINARY} did not start")


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    write_configs(target, write_models(target, write_bundle(target / "bundles", seed=1)))
