"""Every page of the built book in Chromium, wide and narrow, light and dark: a visit to each, for all that is asked."""

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from built import AXE, LOOK, NARROW, STILL, WIDE, Seen, page_names, twins, window
from playwright.sync_api import Browser

pytestmark = pytest.mark.built_book

TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
# The API's pages are the longest, and one tool makes them all alike: axe-core looks at these two of them.
API_BY_AXE = ("api/fused.html", "api/runs.html")


@pytest.fixture(scope="module")
def seen(browser: Browser) -> dict[str, Seen]:
    """What the browser saw on every page, in a wide and in a narrow window."""
    everything = {}
    with window(browser) as reader:
        for name in page_names():
            reader.page.set_viewport_size(NARROW)
            here = everything[name] = reader.open(name)
            here.look = reader.page.evaluate(LOOK)
            reader.page.add_style_tag(content=STILL)
            by_axe = not name.startswith("api/") or name in API_BY_AXE
            if by_axe:
                reader.page.evaluate(AXE_SCRIPT)
                here.barriers["narrow"] = reader.page.evaluate(AXE, ["light", ["scrollable-region-focusable"]])
            for size in (NARROW, WIDE):
                reader.page.set_viewport_size(size)
                here.overflow[size["width"]] = reader.page.evaluate(TOO_WIDE)
            if not by_axe:
                continue
            here.barriers["light"] = reader.page.evaluate(AXE, ["light", None])
            here.barriers["dark"] = reader.page.evaluate(AXE, ["dark", ["color-contrast"]])
    return everything


def where(seen: dict[str, Seen], what) -> dict[str, Any]:
    return {name: found for name, here in seen.items() if (found := what(here))}


def test_no_request_leaves_the_book(seen):
    assert not where(seen, lambda here: here.outside)


def test_nothing_goes_wrong_on_any_page(seen):
    assert not where(seen, lambda here: here.errors)


def test_images_are_drawn(seen):
    assert not where(seen, lambda here: here.look["broken"])


def test_formulas_are_set(seen):
    assert not where(seen, lambda here: here.look["unset"])
    assert not where(seen, lambda here: here.look["wrong"])
    assert sum(here.look["formulas"] for here in seen.values()) > 20


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_window(seen, width):
    assert not where(seen, lambda here: max(here.overflow[width], 0))


@pytest.mark.parametrize("mode", ["light", "dark", "narrow"])
def test_nothing_hinders_a_reader(seen, mode):
    """axe-core: no serious and no critical violation of WCAG AA or good practice."""
    looked_at = where(seen, lambda here: mode in here.barriers)
    assert {name for name in looked_at if name.startswith("api/")} == set(API_BY_AXE)
    assert {name for name in seen if not name.startswith("api/")} <= looked_at.keys()
    assert not where(seen, lambda here: here.barriers.get(mode))


def test_twin_pages_share_no_word_of_the_interface(seen):
    """A tooltip or label that is the same on both pages has not been translated; XYZ begins with a number."""
    words = {name: {word for word in here.look["words"] if not word[:1].isdigit()} for name, here in seen.items()}
    assert min(map(len, words.values())) > 5
    shared = {name: words[name] & words[twin] for name, twin in twins(seen).items()}
    assert not {name: same for name, same in shared.items() if same}
