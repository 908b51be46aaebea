"""How a command fails: mendable problems in one message, mistakes of ours with their traceback."""

import errno
import os

import pytest
import typer

from tfsage.errors import TfsageError, WorkerLost
from tfsage.launch import launch


def run(problem: BaseException, monkeypatch) -> int:
    """The exit status of a command that raises `problem`."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail():
        raise problem

    monkeypatch.setattr("sys.argv", ["fail"])
    with pytest.raises(SystemExit) as stopped:
        launch(app)
    return stopped.value.code


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (TfsageError("products.price: column [3] is [bold]"), "error: products.price: column [3] is [bold]"),
        (TfsageError("x" * 300), f"error: {'x' * 300}"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "error: output: No space left on device; make room there, or write to another disk",
        ),
        (
            OSError(errno.EACCES, os.strerror(errno.EACCES), "/shop/out"),
            "error: /shop/out: Permission denied; check its owner and permissions, or choose another folder",
        ),
    ],
)
def test_mendable_problems_are_one_message_and_status_1(problem, message, monkeypatch, capsys):
    assert run(problem, monkeypatch) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{message}\n")


def test_a_lost_worker_has_the_status_of_a_temporary_failure(monkeypatch, capsys):
    assert run(WorkerLost("worker 1 no longer answers"), monkeypatch) == 75
    assert capsys.readouterr().err == "error: worker 1 no longer answers\n"


def test_control_c_is_quiet_and_has_its_own_status(monkeypatch, capsys):
    assert run(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("problem", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "a bug", "file")])
def test_mistakes_of_ours_keep_their_traceback(problem, monkeypatch):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(lambda: (_ for _ in ()).throw(problem))
    monkeypatch.setattr("sys.argv", ["fail"])
    with pytest.raises(type(problem), match="a bug"):
        launch(app)
