"""The Chromium that is installed, headless: it prints the book and shows it to the tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing that Chromium does by itself on the network.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoChromiumError(RuntimeError):
    """No Chromium is installed; the message says what to do."""


@contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium, and close it at the end.

    Raises
    ------
    NoChromiumError
        If none of `NAMES` is on the path.
    """
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise NoChromiumError("no Chromium found: run `make system`, or install it and run this again")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        yield browser
        browser.close()
