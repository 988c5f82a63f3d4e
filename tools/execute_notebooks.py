"""Run the notebooks in place and renew their text twins: what `make notebooks` calls.

Each runs from a fresh kernel in its own folder. What changes from run to run (times, kernel versions) is kept out of
the file, so that a diff shows results alone.
"""

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient


def main(paths: list[str]) -> None:
    """Execute every notebook of the command line."""
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)
        jupytext.write(notebook, path.parent / "text" / f"{path.stem}.md", fmt="md:myst")


if __name__ == "__main__":
    main(sys.argv[1:])
