"""Print the pages that Sphinx's builder `singlehtml` made, one PDF per language: part of `make pdf`."""

from pathlib import Path

import yaml
from playwright.sync_api import Browser

from tools import chromium

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "book" / "_build"
READY = "async () => { await document.fonts.ready; if (window.MathJax) await MathJax.startup.promise; }"
PAGE_NUMBER = (
    '<div style="width: 100%; font: 8pt sans-serif; text-align: center;"><span class="pageNumber"></span></div>'
)


def print_page(browser: Browser, page: Path, pdf: Path) -> None:
    """Print one page of HTML, with page numbers, an outline of its headings, and tags for screen readers."""
    window = browser.new_page()
    window.goto(page.as_uri())
    window.evaluate(READY)
    pdf.parent.mkdir(parents=True, exist_ok=True)
    window.pdf(
        path=pdf,
        prefer_css_page_size=True,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=PAGE_NUMBER,
        outline=True,
        tagged=True,
    )
    window.close()


def main() -> None:
    """Print every language."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    with chromium.started() as browser:
        for language in config["bilingual_languages"]:
            pdf = BUILD / "pdf" / f"{config['printed_name']}.{language}.pdf"
            print_page(browser, BUILD / "singlehtml" / f"{language}.html", pdf)


if __name__ == "__main__":
    main()
