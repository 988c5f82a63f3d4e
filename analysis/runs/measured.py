"""What records of measurements have in common; a run's own record is another thing, see `records`."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from analysis.data.files import reason, whole_file


class Frozen(BaseModel):
    """A part of a record, a configuration or a file: no value is converted, and no unknown name is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Git(Frozen):
    """The commit that was measured, and whether the code was as committed."""

    commit: str
    clean: bool


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Those of Python and of the packages that are installed here."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def read[R: BaseModel](path: str | os.PathLike[str], kind: type[R], refusal: type[Exception], command: str) -> R:
    """Read a record and check it.

    Raises `refusal`, which names the file, what is wrong with it, and the `command` that makes it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise refusal(f"{path} is missing: run `{command}` to make it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise refusal(f"{path} can't be read ({reason(error)}): restore it, or run `{command}` again") from error
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise refusal(
            f"{path} is damaged or of another version: {where}: {first['msg']}; restore it, or run `{command}` again"
        ) from error


def write(path: str | os.PathLike[str], record: BaseModel) -> None:
    """Write a record that `read` reads, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
