"""Files written whole or not at all, and what is wrong with one in words."""

import errno
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ABANDONED = 3600.0  # s: whoever writes a file is done by then


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder, and move it to `path` once the block has written it whole.

    If the block raises, the temporary file is removed and `path` stays as it was.
    """
    path = Path(path)
    check_output(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with naming(path):
            yield temporary
            to_disk(temporary)
            temporary.replace(path)
            to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `whole_file(path)` would, before the work whose outcome is to be written."""
    path = Path(path)
    with naming(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        tempfile.TemporaryFile(dir=path.parent).close()


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in words, with the path, what the matter with a file is; the OSError keeps its class."""
    path = Path(path)
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # said already
        named = path if error.filename is None else Path(error.filename)
        path = path if named.parent == path.parent else named  # a temporary file's name would tell nobody anything
        raise type(error)(f"{path}: {reason(error)}") from error


_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.EISDIR: "it is a folder: name a file",
    errno.ENOTDIR: "it lies within a file: name another place",
    errno.EACCES: "no permission to read or write it: change its rights, or name another place",
    errno.EROFS: "the disk may not be written: name another place",
    errno.ENOSPC: "the disk is full: make room, or name another place",
    errno.EEXIST: "it is there already",
}


def reason(error: Exception) -> str:
    """What an error says, in a line; an OSError in our words, and not the system's."""
    if not isinstance(error, OSError) or error.errno is None:
        return " ".join(str(error).split())
    if error.errno == errno.ENOENT and not (folder := Path(str(error.filename)).parent).is_dir():
        return f"there is no folder {folder}: make it, or name another"
    return _REASONS.get(error.errno, os.strerror(error.errno))


def to_disk(path: str | os.PathLike[str]) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk.

    Neither brings the other: after a power cut a name may stand for an empty file, and a whole file may have no name.
    """
    with naming(path):
        if not Path(path).is_dir():
            with Path(path).open("rb+") as file:
                os.fsync(file.fileno())
            return
        names = os.open(path, os.O_RDONLY)
        try:
            os.fsync(names)
        except OSError as error:  # a file system that has no such thing for folders
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(names)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder where there is none, and those above it, all with their names on the disk."""
    path = Path(path)
    if not path.is_dir():
        make_folder(path.parent)
        with naming(path):
            path.mkdir(exist_ok=True)
            to_disk(path.parent)


def put_folder(whole: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Move a folder of files to `path`, and all to the disk: after a power cut it is there whole or not at all.

    Raises FileExistsError, with `path` as it was, if there is one that holds something.
    """
    whole, path = Path(whole), Path(path)
    for file in whole.iterdir():
        to_disk(file)
    to_disk(whole)
    with naming(path):
        try:
            whole.rename(path)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, "", str(path)) from error
            raise
        to_disk(path.parent)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of `path`, if that is allowed: files of `whole_file` that are an hour old."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*.partial"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                leftover.unlink()
