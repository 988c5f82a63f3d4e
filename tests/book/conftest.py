import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tools are no part of the installed package

from tools import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium.started() as started:
            yield started
    except chromium.NoChromiumError as error:
        pytest.fail(str(error))
