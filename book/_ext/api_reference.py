"""The packages' reference, from their docstrings: every public module of a package is a section of the page.

``.. api-reference:: analysis.data`` finds the modules by itself, so that none can be forgotten; what begins with an
underscore is left out. In a module, what has a docstring and was written there is shown.

Docstrings are plain text, with names of code between single backticks and NumPy's sections: signs that reStructuredText
would read as markup (``|e|``, ``pair_``) are kept as they are. They are in English, whatever the page's language.
"""

import pkgutil
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import bilingual
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.locale import get_translator
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

LANGUAGE = "en"
MODULE = """
{name}
{line}

.. automodule:: {name}
   :members:
   :ignore-module-all:
   :show-inheritance:
   :no-value:

"""
CODE = re.compile(r"(`+[^`]+`+)")
MARKUP = re.compile(r"(?<!\\)\||(?<=\w)(?<!\\)_(?!\w)")


def public_modules(package: str) -> Iterator[str]:
    """A package and the modules below it, by name, without importing any but the packages."""
    yield package
    for found in pkgutil.iter_modules(find_spec(package).submodule_search_locations or ()):
        if not found.name.startswith("_"):
            yield from public_modules(f"{package}.{found.name}")


class ApiReference(SphinxDirective):
    """A section for each public module of a package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the sections as reStructuredText, and read them in the docstrings' language."""
        source, _line = self.get_source_info()
        names = public_modules(self.arguments[0])
        text = "".join(MODULE.format(name=name, line="-" * len(name)) for name in names)
        reference = nodes.section(document=self.state.document)
        words = get_translator(bilingual.CATALOGUE)
        before, words.language = words.language, LANGUAGE
        nested_parse_with_titles(self.state, StringList(text.splitlines(), source), reference)
        words.language = before
        for section in reference.children:
            section["classes"].append(f"language-{LANGUAGE}")
        return reference.children


def keep_signs(_app: Sphinx, _what: str, _name: str, _object: object, _options: Any, lines: list[str]) -> None:
    """Escape, outside code, what reStructuredText would take for markup."""
    parts = CODE.split("\n".join(lines))
    parts[::2] = [MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def leave_out_what_others_wrote(
    _app: Sphinx, _what: str, _name: str, member: object, _skip: bool, _options: Any
) -> bool | None:
    """Skip what a base class of another library puts into ours (`set` of matplotlib's artists)."""
    module = getattr(member, "__module__", None)
    ours = ("analysis", "fused")
    return True if isinstance(module, str) and module.partition(".")[0] not in ours else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.setup_extension("sphinx.ext.napoleon")  # brings autodoc
    app.add_directive("api-reference", ApiReference)
    app.connect("autodoc-process-docstring", keep_signs, priority=900)  # after napoleon
    app.connect("autodoc-skip-member", leave_out_what_others_wrote)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
