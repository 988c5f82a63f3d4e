"""Make the links in `book/` that a clone without symbolic links, or an archive, holds as text: part of `make book`."""

import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent.parent / "book"
TARGETS = {name: f"../{name}" for name in ("_config.yml", "_toc.yml", "notebooks")}


class LinkError(RuntimeError):
    """A link that can't be made; the message says which, and what to do."""


def make(book: Path = BOOK) -> None:
    """Put each link in its place; git takes it for the file that was there. Raises LinkError."""
    for name, target in TARGETS.items():
        link = book / name
        if link.is_symlink():
            continue
        if link.exists() and (link.is_dir() or link.read_text(encoding="utf-8").strip() != target):
            raise LinkError(f"{link} is a copy where a link to {target} has to be: move it away and build again")
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        except OSError as error:
            raise LinkError(
                f"{link} has to be a symbolic link to {target}, which can't be made here ({error}): build on a disk "
                "that has such links (on Windows: in WSL's own file system)"
            ) from error


if __name__ == "__main__":
    try:
        make()
    except LinkError as error:
        sys.exit(f"error: {error}")
