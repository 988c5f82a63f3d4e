"""Parameters of notebooks, commands and sweep files, checked before anything runs.

papermill only prints a line for a parameter that a notebook does not have, and runs on with a misspelt name unused.
A notebook therefore passes its whole namespace to `check`, right after the parameters cell.
"""

import ast
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from analysis.data.errors import UserError
from analysis.runs.measured import Frozen

_IPYTHON_NAMES = {"In", "Out"}
_WORDS: dict[str, bool | None] = {"none": None, "null": None, "~": None}
_WORDS |= dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
_STEPS = 3  # text to number to whole number to list, say
_LONGEST = 80  # characters of a value that is shown


class NotebookParameters(Frozen):
    """What every notebook takes; a notebook with parameters of its own extends it."""

    lang: Literal["ca", "en"] = Field("ca", description='language of figures and tables: "ca" or "en"')


class ParameterError(UserError, ValueError):
    """Wrong parameters of a notebook or a command."""


def check[Parameters: NotebookParameters](model: type[Parameters], namespace: dict[str, object]) -> Parameters:
    """Validate a notebook's parameters; `namespace` is its `globals()`.

    Beside the model's own fields, names of plain data (None, numbers, text, and lists and dictionaries of them, which
    papermill passes) are taken for parameters, unless they begin with an underscore or are IPython's own history. What
    later cells bind is not plain: "Run all" works again in the same kernel.

    Raises ParameterError, a line for the first thing that is wrong: the parameter, what it was, what is allowed, and
    what to write.
    """
    given = {
        name: _unquoted(value)
        for name, value in namespace.items()
        if name in model.model_fields or (_is_plain(value) and name not in _IPYTHON_NAMES and not name.startswith("_"))
    }
    unknown = sorted(given.keys() - model.model_fields.keys())
    if unknown:
        takes = f"this notebook takes {', '.join(model.model_fields)}{meant(unknown[0], model.model_fields)}"
        raise ParameterError(f"unknown parameter {unknown[0]!r}; {takes}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ParameterError(refusal(error, model, given)) from None


def refused(given: NotebookParameters, error: ValueError) -> ParameterError:
    """What to raise where parameters are right by themselves, but not together or not for the data: one line.

    It names the parameters that are not at their default, since those can be wrong, and says what `error` says.
    """
    said = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
    fields = type(given).model_fields
    names = [name for name in fields if getattr(given, name) != fields[name].default and name != "lang"]
    asked = ", ".join(f"{name} = {getattr(given, name)!r}" for name in names) or "all parameters at their defaults"
    return ParameterError(f"{asked}: {said.removeprefix('Value error, ')}")


def parsed(text: str) -> object:
    """What a text says as Python, JSON or YAML would have it, or the text itself.

    `1e-3` is a number, unlike in YAML; `null` and `None` are the same, `true` and `True`; words in a list may stand
    with or without quotes, which a shell takes away.
    """
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    if text.startswith("["):
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            return text
        return [parsed(each) if isinstance(each, str) else each for each in found] if isinstance(found, list) else text
    return text


def refusal(error: ValidationError, model: type[BaseModel], content: object) -> str:
    """What is wrong first with what a model was given, in a line: where, what is allowed, and what to write instead.

    `error` is what `model` raised for `content`. What is allowed is in the descriptions of the model's fields; what is
    proposed is near to the value in `content`, and the model accepts it.
    """
    first = error.errors(include_url=False)[0]
    where, said = first["loc"], first["msg"].removeprefix("Value error, ")
    if not where:
        return said
    described = model.model_fields[where[0]].description if where[0] in model.model_fields else None
    allowed = f" ({described})" if described else ""
    shown = "" if isinstance(first["input"], dict) else f" = {_shown(first['input'])}"
    choices = re.findall(r"'([^']+)'", first.get("ctx", {}).get("expected", ""))
    return f"{'.'.join(map(str, where))}{shown}: {said}{allowed}{_proposal(model, content, where, choices)}"


def meant(name: str, known: Iterable[str]) -> str:
    """A question whether the nearest of the known names was meant; empty if none is near."""
    near = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _proposal(model: type[BaseModel], content: object, where: tuple[Any, ...], choices: Sequence[str]) -> str:
    """The nearest value to the one at `where` of `content` that the model accepts, in words; empty if none is."""
    while where and isinstance(where[-1], int):  # the whole list
        where = where[:-1]
    try:
        value: Any = content
        for part in where:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return ""
    tried, seen = [value], {repr(value)}
    for _ in range(_STEPS):
        found = list(chain.from_iterable(_nearby(each, choices) for each in tried))
        tried = [each for each in found if repr(each) not in seen]
        seen |= {repr(each) for each in tried}
        for each in tried:
            if _fits(model, content, where, each):
                return f"; write {_spelled(each)}{_why(value, each)}"
    return ""


def _why(value: object, proposed: object) -> str:
    if proposed is None:
        return ", or null in YAML"
    texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    bare = [text for text in texts if re.fullmatch(r"[-+]?\d+e[-+]?\d+", text.strip(), re.IGNORECASE)]
    return f" (YAML takes {bare[0]} for text)" if bare else ""


def _nearby(value: object, choices: Sequence[str]) -> Iterator[object]:
    """The same value, spelled or wrapped otherwise."""
    match value:
        case str():
            yield parsed(value)
            yield value.strip().lower()
            yield from difflib.get_close_matches(value.strip().lower(), choices, n=1)
            words = re.split(r"[\s,;]+", value.strip())
            if len(words) > 1:
                yield [parsed(word) for word in words]
        case bool() | None:
            pass
        case int() | float():
            if isinstance(value, float) and value.is_integer():
                yield int(value)
            if value in (0, 1):
                yield bool(value)
        case list():
            yield list(chain.from_iterable(_first_nearby(each, choices) for each in value))
            yield list({repr(each): each for each in value}.values())
            if len(value) == 1:
                yield value[0]
        case tuple() | set() | frozenset() | range():
            yield list(value)
        case _ if hasattr(value, "tolist"):  # NumPy's
            yield value.tolist()
    if isinstance(value, str | int | float):
        yield [value]


def _first_nearby(value: object, choices: Sequence[str]) -> list[object]:
    near = [each for each in _nearby(value, choices) if repr(each) != repr(value) and not isinstance(each, bool | list)]
    return [*near, value][:1]


def _fits(model: type[BaseModel], content: Any, where: tuple[Any, ...], value: object) -> bool:
    changed = _with(content, where, value)
    try:
        model.model_validate(changed)
    except ValidationError as error:
        return not any(each["loc"][: len(where)] == where for each in error.errors())
    return True


def _with(content: Any, where: tuple[Any, ...], value: object) -> Any:
    if not where:
        return value
    first, *rest = where
    changed = content.copy()
    changed[first] = _with(content[first], tuple(rest), value)
    return changed


def _spelled(value: object) -> str:
    """As Python, papermill and YAML read it alike: a number needs a point before its e."""
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    if isinstance(value, dict):
        return all(_is_plain(each) for each in value.values())
    return value is None or isinstance(value, str | int | float)


def _unquoted(value: object) -> object:
    """A list that was given as text: papermill's ``-p name "[1, 2]"`` reads numbers, but passes lists on as typed."""
    return parsed(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
