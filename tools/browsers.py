"""The browsers that are installed, headless: Chromium prints the book, and both show it to the tests."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "firefox": ("firefox-esr", "firefox")}
# Nothing that Chromium does by itself on the network; in Firefox Playwright sees to it.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowserError(RuntimeError):
    """A browser is not installed; the message says what to do."""


@contextmanager
def started(name: str = "chromium") -> Iterator[Browser]:
    """Start one of `PROGRAMS`, and close it at the end.

    Raises
    ------
    NoBrowserError
        If none of its programs is on the path.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS[name])), None)
    if program is None:
        raise NoBrowserError(f"no {name.capitalize()} found: run `make system`, or install it and run this again")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        if name == "firefox":
            between = Path(folder, "firefox")
            words = (sys.executable, str(Path(__file__).with_name("firefox.py")), program)
            between.write_text(f'#!/bin/sh\nexec {" ".join(map(quote, words))} "$@"\n', encoding="utf-8")
            between.chmod(0o755)
            # Without a channel Playwright expects a Firefox of its own make.
            browser = playwright.firefox.launch(executable_path=between, channel="moz-firefox")
        else:
            browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()
