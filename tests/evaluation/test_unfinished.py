import pytest

from tfsage.errors import TfsageError
from tfsage.evaluation.unfinished import evaluation_key, unfinished_folder


def write(out, key, *names, fail=False):
    """Writes files into the folder and returns what was there before."""
    with unfinished_folder(out, key, "whole.json") as folder:
        found = sorted(path.name for path in folder.iterdir())
        for name in names:
            (folder / name).write_text(key)
        if fail:
            raise KeyboardInterrupt
    return found


def killed(out, key, *names):
    with pytest.raises(KeyboardInterrupt):
        write(out, key, *names, fail=True)


def test_what_was_whole_before_a_kill_is_gone_on_with(tmp_path):
    killed(tmp_path / "out", "a", "vectors", "whole.json", "counts")
    assert not (tmp_path / "out").exists()
    assert write(tmp_path / "out", "a", "ranks") == ["counts", "inputs.txt", "vectors", "whole.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["counts", "ranks", "vectors", "whole.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("key", "names"), [("b", ["vectors", "whole.json"]), ("a", ["vectors"])])
def test_other_inputs_and_half_a_folder_are_thrown_away(tmp_path, key, names):
    killed(tmp_path / "out", key, *names)
    assert write(tmp_path / "out", "a", "whole.json") == ["inputs.txt"]
    assert (tmp_path / "out" / "whole.json").read_text() == "a"


def test_two_do_not_write_into_one_folder(tmp_path):
    with unfinished_folder(tmp_path / "out", "a", "whole.json") as folder:
        (folder / "whole.json").write_text("a")
        with pytest.raises(TfsageError, match="another process evaluates into this folder"):
            write(tmp_path / "out", "b")
        write(tmp_path / "another", "b")
    assert (tmp_path / "out" / "whole.json").read_text() == "a"


def test_an_earlier_result_stays_until_the_next_is_whole(tmp_path):
    write(tmp_path / "out", "a", "whole.json")
    killed(tmp_path / "out", "b", "whole.json")
    assert (tmp_path / "out" / "whole.json").read_text() == "a"
    write(tmp_path / "out", "b")
    assert (tmp_path / "out" / "whole.json").read_text() == "b"


def test_the_key_changes_with_weights_data_config_and_split(tmp_path):
    run, data = tmp_path / "run", tmp_path / "data"
    (run / "checkpoints").mkdir(parents=True)
    data.mkdir()
    (run / "checkpoints" / "step-3").write_bytes(b"weights")
    (data / "pairs_test.parquet").write_bytes(b"pairs")
    keys = [evaluation_key("config", run, data, "test"), evaluation_key("other", run, data, "test")]
    keys.append(evaluation_key("config", run, data, "dev"))
    (run / "checkpoints" / "step-3").write_bytes(b"another")
    keys.append(evaluation_key("config", run, data, "test"))
    (data / "pairs_test.parquet").write_bytes(b"more pairs")
    keys.append(evaluation_key("config", run, data, "test"))
    assert len(set(keys)) == 5
