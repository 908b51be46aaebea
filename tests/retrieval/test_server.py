"""`tfsage service` as a user starts and stops it."""

import re
import signal
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace

import httpx
import pytest

from tfsage.errors import TfsageError
from tfsage.retrieval.server import RetrievalServer


def test_the_command_answers_until_it_is_told_to_stop(root, settings):
    words = ["--root", root, "--port", "0", "--products", settings.products, "--hybrid"]
    command = [sys.executable, "-m", "tfsage.cli", "service", *map(str, words)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as service,
        # Before the process is waited for: a failed check must not wait for ever.
        closing(SimpleNamespace(close=service.kill)),
    ):
        said = [service.stderr.readline() for _ in range(3)]
        assert re.fullmatch(
            r"no model server on 127\.0\.0\.1:8500 serves this bundle: starting one for this service\n", said[0]
        ), said
        assert re.fullmatch(r"bundle \w{12}, 30 products\n", said[1]), said
        url = re.fullmatch(r"  open  (http://127\.0\.0\.1:\d+)\n", said[2])[1]
        body = {"query": "oak lamp", "k": 2, "filters": {"colors": ["oak"]}, "hybrid": True}
        hits = httpx.post(f"{url}/search", json=body, timeout=20).json()["hits"]
        assert [hit["title"].split()[0] for hit in hits] == ["oak", "oak"]
        assert "tfsage playground" in httpx.get(url).text
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
        assert (service.stdout.read(), service.stderr.read()) == ("", "")


def test_a_port_that_is_taken(world):
    with pytest.raises(TfsageError, match="in use"):
        RetrievalServer(world.service, port=world.http.base_url.port)
