"""Bundles made once, and copied for the tests that change them."""

import shutil

import pytest

from tests.export import fakes
from tfsage.bundle import Bundle


@pytest.fixture(scope="session")
def made_towers(tmp_path_factory) -> Bundle:
    return fakes.write_towers(tmp_path_factory.mktemp("towers") / "bundle")


@pytest.fixture(scope="session")
def made_bundle(tmp_path_factory) -> Bundle:
    return fakes.write_bundle(tmp_path_factory.mktemp("made") / "bundle")


@pytest.fixture
def towers(made_towers, tmp_path) -> Bundle:
    """A bundle with towers only; the test may change it."""
    return Bundle.open(shutil.copytree(made_towers.folder, tmp_path / "towers"))


@pytest.fixture
def bundle(made_bundle, tmp_path) -> Bundle:
    """A complete bundle; the test may change it."""
    return Bundle.open(shutil.copytree(made_bundle.folder, tmp_path / "bundle"))
