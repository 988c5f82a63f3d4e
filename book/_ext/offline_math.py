"""Formulas without the network: MathJax comes from an installed package and is copied into the built book.

The package is ``django-static-mathjax`` (Apache-2.0): MathJax's own release in a wheel. Django is neither needed nor
imported.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

SCRIPT = "tex-chtml.js"
FONTS = Path("output/chtml/fonts/woff-v2")  # where the script looks for its fonts, relative to itself
FOLDER = "mathjax"  # below the built book's _static


def installed_mathjax() -> Path:
    """Folder of the installed MathJax 3, found without importing its package.

    Raises
    ------
    ExtensionError
        If the package, the script or its fonts are not there.
    """
    spec = find_spec("mathjax")
    for place in spec.submodule_search_locations or () if spec else ():
        root = Path(place, "static", "mathjax")
        if (root / "es5" / SCRIPT).is_file() and (root / "es5" / FONTS).is_dir():
            return root
    raise ExtensionError("MathJax is not installed: pip install django-static-mathjax")


def point_to_copy(_app: Sphinx, config: Config) -> None:
    """Let Sphinx load the copy instead of an address on the network."""
    config.mathjax_path = f"{FOLDER}/{SCRIPT}"


def copy_mathjax(app: Sphinx) -> None:
    """Copy the script, its fonts and its licence (1.6 MB) into the built book."""
    if app.builder.format != "html":
        return
    source = installed_mathjax()
    target = Path(app.outdir, "_static", FOLDER)
    shutil.copytree(source / "es5" / FONTS, target / FONTS, dirs_exist_ok=True)
    shutil.copy2(source / "es5" / SCRIPT, target)
    shutil.copy2(source / "LICENSE", target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", point_to_copy)
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
