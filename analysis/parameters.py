"""The parameters of a notebook, checked before anything runs.

papermill only prints a line for a parameter that a notebook does not have, and runs on with a misspelt name unused.
A notebook therefore hands its whole namespace to `check`, right after the parameters cell.
"""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_IPYTHON_NAMES = {"In", "Out"}


class NotebookParameters(BaseModel):
    """What every notebook takes; a notebook with parameters of its own extends it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    lang: Literal["ca", "en"] = Field("ca", description='language of figures and tables: "ca" or "en"')


class ParameterError(ValueError):
    """Wrong notebook parameters; shown by IPython as its message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"ParameterError: {self}"]


def check[Parameters: NotebookParameters](model: type[Parameters], namespace: dict[str, object]) -> Parameters:
    """Validate a notebook's parameters.

    Parameters
    ----------
    model
        The notebook's parameters, a field each.
    namespace
        The notebook's `globals()`. Beside the notebook's own parameters, names of plain data (None, numbers, text,
        and lists and dictionaries of them, which is what papermill hands over) are taken for parameters, unless they
        begin with an underscore or are IPython's own history. What later cells bind is not: "Run all" works again in
        the same kernel.

    Raises
    ------
    ParameterError
        One line for the first thing that is wrong: the parameter, what it was, and what is allowed.
    """
    given = {
        name: _unquoted(value)
        for name, value in namespace.items()
        if name in model.model_fields or _is_parameter(name, value)
    }
    unknown = sorted(given.keys() - model.model_fields.keys())
    if unknown:
        raise ParameterError(f"unknown parameter {unknown[0]!r}; this notebook takes {', '.join(model.model_fields)}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ParameterError(_first_line(error, model)) from None


def refused(given: NotebookParameters, error: ValueError) -> ParameterError:
    """What to raise where parameters are right by themselves, but not together or not for the data: one line.

    It names the parameters that are not at their default, since those can be wrong, and says what `error` says.
    """
    said = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
    fields = type(given).model_fields
    names = [name for name in fields if getattr(given, name) != fields[name].default and name != "lang"]
    asked = ", ".join(f"{name} = {getattr(given, name)!r}" for name in names) or "all parameters at their defaults"
    return ParameterError(f"{asked}: {said.removeprefix('Value error, ')}")


def _is_parameter(name: str, value: object) -> bool:
    return not (name.startswith("_") or name in _IPYTHON_NAMES) and _is_plain(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    if isinstance(value, dict):
        return all(_is_plain(each) for each in value.values())
    return value is None or isinstance(value, str | int | float)


def _unquoted(value: object) -> object:
    """A list that came as text: papermill's ``-p name "[1, 2]"`` reads numbers, but hands on lists as typed."""
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _first_line(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    where = ".".join(str(part) for part in first["loc"])
    described = model.model_fields[name].description if name in model.model_fields else None
    allowed = f" ({described})" if described else ""
    if not where:
        return first["msg"].removeprefix("Value error, ")
    return f"{where} = {first['input']!r}: {first['msg'].removeprefix('Value error, ')}{allowed}"
