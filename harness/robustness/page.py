"""The book's page that predicts a reader's molecule, from outside: what it answers to odd input, and how long it takes.

It gets SMILES and XYZ texts that were changed at random, in its own fields. It predicts molecules, and the slider of
the means is moved, at this machine's speed and slowed down as Chromium's developer tools do it.
"""

import importlib
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Error, Page

from analysis.data import extxyz, qm9
from analysis.runs import checkout, measured
from harness.machine import Machine
from harness.robustness import fuzzing
from harness.robustness.processes import ROOT
from harness.robustness.record import PageRecord

MOLECULES = {"ethanol": "CCO", "benzene": "c1ccccc1", "glycine": "NCC(=O)O", "nonane": "CCCCCCCCC"}
SLOWDOWNS = (1, 4)
"""How many times slower Chromium makes the processor: four is a mid-range phone, as its own tools have it."""
_REPEATS = 3
_INPUTS = 300
_FORMS = {
    "smiles": ("#molecule-smiles", "#interactive-molecule form.wide button"),
    "xyz": ("#molecule-xyz", "#molecule-geometry form button"),
}
_NO_NUMBERS = ("NaN", "undefined", "Infinity", "[object", "{")
_PREDICT = """async (smiles) => {
  globalThis.asked ??= await Prediction.predictor(MOLECULE_DATA);
  const start = performance.now(), given = asked.fromSmiles(smiles), made = performance.now();
  if (asked.predict(given, true).refused) throw new Error(`${smiles} is refused`);
  return [(made - start) / 1000, (performance.now() - made) / 1000];
}"""
_SLIDE = """() => {
  const input = document.querySelector("input[type=range]"), start = performance.now();
  for (let step = 0; step <= 100; step++) {
    input.value = step;
    input.dispatchEvent(new Event("input"));
    document.querySelector("svg").getBoundingClientRect();
  }
  return (performance.now() - start) / 101000;
}"""


class PageTargets:
    """The page as a fuzz target, open in a browser; `fuzzing.fuzz` gives it input."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.errors: list[str] = []
        self.known: dict[str, str] = {}  # what the page says of the texts as they were
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        few = qm9.load()
        few = few.select(np.linspace(0, len(few) - 1, 40).astype(int))
        self.whole = {"smiles": few.smiles.tolist(), "xyz": []}
        for m in range(len(few)):
            extxyz.write(folder / "one.xyz", few.select([m]))
            self.whole["xyz"].append((folder / "one.xyz").read_text(encoding="utf-8"))
        page.evaluate("document.getElementById('molecule-geometry').open = true")

    def say(self, name: str, text: str) -> str:
        """What the page answers to a text in one of its forms."""
        field, button = _FORMS[name]
        self.page.fill(field, text)
        self.page.evaluate("document.getElementById('interactive-molecule').dataset.state = 'working'")
        self.page.click(button)
        self.page.wait_for_function("document.getElementById('interactive-molecule').dataset.state !== 'working'")
        return self.page.inner_text(".told")

    def fuzz(self, name: str, rng: random.Random) -> tuple[fuzzing.Answer, str]:
        """Give the page a text that was changed at random; "wrong", with what happened, if it misbehaves."""
        whole = rng.choice(self.whole[name])
        text = fuzzing.misspelt(whole, rng) if name == "smiles" else fuzzing.edited_words(whole, rng)
        self.errors.clear()
        try:
            said = self.say(name, text)
        except Error as error:
            return "wrong", f"{text!r}: {error}"
        if self.errors or not said.strip() or "–" in said.split() or any(word in said for word in _NO_NUMBERS):
            return "wrong", f"{text!r}: {self.errors or said}"
        if said.startswith("Refused: "):
            return "refused", said.removeprefix("Refused: ").splitlines()[0]
        if whole not in self.known:
            self.known[whole] = self.say(name, whole)
        return ("same" if said == self.known[whole] else "other"), ""


@contextmanager
def pages() -> Iterator[tuple[Browser, Callable[[str], Path]]]:
    """Chromium, and what writes a page with one part of the book, in English."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    interactive, browsers = importlib.import_module("interactive"), importlib.import_module("tools.browsers")
    with browsers.started() as browser, tempfile.TemporaryDirectory(prefix="page-") as folder:
        yield browser, lambda name: interactive.alone(Path(folder), name, "en")


def opened(browser: Browser, path: Path, slowdown: int = 1) -> tuple[Page, float]:
    """A page that is ready, and the seconds that it took."""
    page = browser.new_page()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.goto(path.as_uri())
    page.wait_for_selector("[data-ready]")
    return page, page.evaluate("performance.now() / 1000")


def times(browser: Browser, write: Callable[[str], Path], slowdown: int, repeats: int) -> list[dict[str, Any]]:
    """What `record.PageTimes` describes, at one speed."""
    found: dict[str, list[float]] = {"open": [], "geometry": [], "networks": [], "slider": []}
    for _ in range(repeats):
        page, seconds = opened(browser, write("molecule"), slowdown)
        found["open"].append(seconds)
        for smiles in MOLECULES.values():
            for what, spent in zip(("geometry", "networks"), page.evaluate(_PREDICT, smiles), strict=True):
                found[what].append(spent)
        page.close()
        page, _seconds = opened(browser, write("slider"), slowdown)
        found["slider"].append(page.evaluate(_SLIDE))
        page.close()
    return [{"what": what, "slowdown": slowdown, "seconds": seconds} for what, seconds in found.items()]


def measure(*, quick: bool, seed: int) -> tuple[PageRecord, list[str]]:
    """Give the page odd input and take its times; the record, and what went wrong in words."""
    load = os.getloadavg()[0]
    with pages() as (browser, write), tempfile.TemporaryDirectory(prefix="page-") as folder:
        taken = [one for slowdown in SLOWDOWNS for one in times(browser, write, slowdown, 1 if quick else _REPEATS)]
        targets = PageTargets(opened(browser, write("molecule"))[0], Path(folder))
        answers = [fuzzing.fuzz(targets, name, 20 if quick else _INPUTS, str(seed)) for name in _FORMS]
        version = browser.version
    troubles = [trouble for one in answers for trouble in one.pop("troubles")]
    content = {
        "machine": Machine.here().model_dump(),
        "versions": measured.versions(["playwright"]) | {"chromium": version},
        "git": checkout.git_state(),
        "load": load,
        "seed": seed,
        "quick": quick,
        "answers": answers,
        "times": taken,
    }
    return PageRecord.model_validate_json(json.dumps(content)), troubles
