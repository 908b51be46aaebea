"""The run folder: everything that one training run leaves behind, and the only state that a resumed run needs."""

import json
from pathlib import Path

import tensorflow as tf

from tfsage.config import Config, load_config, save_config
from tfsage.data.batches import settle_reader
from tfsage.data.prepared import PreparedData
from tfsage.errors import TfsageError
from tfsage.files import write_text
from tfsage.models import EmbeddingModel
from tfsage.towers.base import Tower
from tfsage.training.shared_folder import wait_for


class Run:
    """A run folder.

    config.yaml (resolved) · run.json (where the prepared data lie, and how they are read) · checkpoints/ ·
    history.jsonl · tensorboard/ · hard_negatives/ (those of the epoch under way); evaluation adds vectors/,
    metrics.json and report.html, export adds bundle/.
    """

    def __init__(self, folder: Path, config: Config, data: PreparedData, product_features: str):
        self.folder, self.config, self.data = folder, config, data
        self._product_features = product_features

    @property
    def settled_config(self) -> Config:
        """The config with what it left open settled when the run began: all workers and a resumed run read alike."""
        training = self.config.training.model_copy(update={"product_features": self._product_features})
        return self.config.model_copy(update={"training": training})

    @classmethod
    def create(cls, folder: str | Path, config: Config, data_folder: str | Path) -> "Run":
        """Opens a new run folder, or the same run again when it was started with the same config and data.

        Raises:
            TfsageError: the folder holds a run with another config or other data.
        """
        folder, data_folder = Path(folder), Path(data_folder).resolve()
        data = PreparedData(data_folder)
        if (folder / "run.json").exists():
            run = cls.open(folder)
            if run.config != config or run.data.folder.resolve() != data_folder:
                what = "config" if run.config != config else "data folder"
                raise TfsageError(
                    f"{folder}: holds a run with another {what}; choose another --run folder, "
                    f"or delete this one to start anew"
                )
            return run
        folder.mkdir(parents=True, exist_ok=True)
        save_config(config, folder / "config.yaml")
        reader = settle_reader(data, config).training.product_features
        described = {"format": 1, "data": str(data_folder), "product_features": reader}
        write_text(folder / "run.json", json.dumps(described) + "\n")
        return cls(folder, config, data, reader)

    @classmethod
    def join(cls, folder: str | Path, config: Config, data_folder: str | Path) -> "Run":
        """Opens the run folder that the chief has made; for the other workers.

        Raises:
            TfsageError: the folder cannot be seen from here, or holds a run with another config or other data.
        """
        wait_for(Path(folder) / "run.json")
        return cls.create(folder, config, data_folder)

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Opens an existing run folder.

        Raises:
            TfsageError: it is not a run folder, or its data are gone.
        """
        folder = Path(folder)
        try:
            described = json.loads((folder / "run.json").read_text())
        except FileNotFoundError:
            raise TfsageError(
                f"{folder}: not a run folder (no run.json); `tfsage train --run {folder}` makes one"
            ) from None
        data = PreparedData(described["data"])
        return cls(folder, load_config(folder / "config.yaml"), data, described["product_features"])

    def load_model(self) -> EmbeddingModel:
        """The model with the weights of the last checkpoint.

        Raises:
            TfsageError: there is no checkpoint.
        """
        model = EmbeddingModel(self.config, self.data)
        latest = tf.train.latest_checkpoint(str(self.folder / "checkpoints"))
        if latest is None:
            raise TfsageError(f"{self.folder}: no checkpoint; train first: `tfsage train --run {self.folder}`")
        tf.train.Checkpoint(model=model).read(latest).expect_partial().assert_existing_objects_matched()
        return model

    def load_towers(self) -> dict[str, Tower]:
        """The trained towers, by their names in the config."""
        return self.load_model().towers
