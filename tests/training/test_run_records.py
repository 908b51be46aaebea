import json

import yaml

from tests.conftest import TINY, command
from tfsage.config import Config
from tfsage.data.records import choice
from tfsage.training.run import Run


def test_what_auto_means_is_settled_when_the_run_begins(prepared, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "usable_memory", lambda: 1)
    assert Run.create(tmp_path / "small", tiny_config, prepared).settled_config.training.product_features == "records"
    monkeypatch.undo()
    assert Run.create(tmp_path / "large", tiny_config, prepared).settled_config.training.product_features == "store"
    # The same run, gone on with on a machine with more memory: the config is the same, and so are the batches.
    resumed = Run.create(tmp_path / "small", tiny_config, prepared)
    assert resumed.config == tiny_config and resumed.settled_config.training.product_features == "records"
    asked = Config.model_validate({**TINY, "training": {**TINY["training"], "product_features": "store"}})
    assert Run.create(tmp_path / "asked", asked, prepared).settled_config == asked


def test_training_reads_records(prepared, tmp_path):
    file, run = tmp_path / "records.yaml", tmp_path / "run"
    training = {**TINY["training"], "product_features": "records", "phases": [{"steps": 6}]}
    file.write_text(yaml.safe_dump({**TINY, "training": training}))
    done = command(["tfsage.cli", "train", "--data", prepared, "--config", file, "--run", run])
    assert "Making records of the catalog for tower product: 300 rows" in done.stderr
    assert "Product features are read from records" in done.stderr
    steps = [json.loads(line)["step"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert steps[-1] == 6
