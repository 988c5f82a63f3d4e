"""Links from a notebook to the book's chapters that hold on a code-hosting site, in JupyterLab and in the built book.

A notebook writes them as files of the checkout, ``../book/ca/balancing.md``. In the book, whose sources begin at
``book/``, the same page is ``../ca/balancing.md``.
"""

from sphinx.application import Sphinx


def links_within_the_book(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Shorten a notebook's links before it is parsed."""
    if docname.startswith("notebooks/"):
        source[0] = source[0].replace("](../book/", "](../")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", links_within_the_book)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
