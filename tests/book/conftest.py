import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tools are no part of the installed package

from tools import browsers


def started(name: str) -> Iterator[Browser]:
    try:
        with browsers.started(name) as browser:
            yield browser
    except browsers.NoBrowserError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from started("chromium")


@pytest.fixture(scope="module", params=browsers.PROGRAMS)
def each_browser(request) -> Iterator[Browser]:
    yield from started(request.param)
