"""A real browser for the tests of pages: Chromium; where there is none, a warning says what is left out."""

import shutil
import warnings
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def browser(request) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        left_out = f"no Chromium on this machine: left out, {request.module.__doc__}"
        warnings.warn(left_out, stacklevel=1)
        pytest.skip(left_out)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()
