import json
import shutil

import numpy as np
import pytest

from tfsage.baselines import write_baselines
from tfsage.errors import TfsageError
from tfsage.evaluation import evaluate_run
from tfsage.evaluation.frozen import FrozenVectors


@pytest.fixture(scope="module")
def run(trained_run, tmp_path_factory):
    """A copy of the tiny run, evaluated."""
    folder = tmp_path_factory.mktemp("baselines") / "run"
    shutil.copytree(trained_run, folder)
    evaluate_run(folder)
    return folder


@pytest.mark.timeout(600)  # a training in a process of its own
def test_baselines_stand_in_one_table_of_one_evaluator(run, capsys):
    names = ["sum_mlp", "tfrs"]
    folders = write_baselines(run, names)
    assert [folder.name for folder in folders] == names
    metrics = evaluate_run(run)["tasks"]
    for task, measured in metrics.items():
        assert {*names, "random"} <= measured["baselines"].keys(), task
        assert set(measured["differences"]) == set(measured["baselines"])
        ranks = FrozenVectors(run / "vectors" / "test").ranks(task)
        for name in names:
            own = FrozenVectors(run / "baselines" / name / "vectors" / "test").ranks(task)["model"]
            np.testing.assert_array_equal(ranks[name].pair.greater, own.pair.greater)
    # What the run itself reads is what the baseline's own evaluation says.
    own = json.loads((run / "baselines" / "sum_mlp" / "metrics.json").read_text())["tasks"]
    task = next(iter(metrics))
    assert metrics[task]["baselines"]["sum_mlp"]["recall@10"]["value"] == own[task]["recall@10"]["value"]
    capsys.readouterr()
    write_baselines(run, names)
    assert "tfrs: is there" in capsys.readouterr().err


def test_what_there_is_not_is_refused(run):
    with pytest.raises(TfsageError, match=r"no baseline named \['best'\]"):
        write_baselines(run, ["best"])


def test_a_sentence_encoder_of_a_local_folder(run, tmp_path):
    """With a tiny random model, where the package is installed."""
    try:
        from sentence_transformers import SentenceTransformer, models
    except ImportError:
        with pytest.raises(TfsageError, match="sentence-transformers is not installed"):
            write_baselines(run, [], sentence_model=tmp_path)
        print("sentence-transformers is not installed: its vectors are left out")
        return
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(tmp_path / "bert")
    bert = models.Transformer(str(tmp_path / "bert"), max_seq_length=32)
    SentenceTransformer(modules=[bert, models.Pooling(16)]).save(str(tmp_path / "model"))
    (folder,) = write_baselines(run, [], sentence_model=tmp_path / "model")
    assert FrozenVectors(folder / "vectors" / "test").tasks == ["search_click"]
