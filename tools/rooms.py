"""Draw the rooms of the package, floor by floor, from its imports: part of `make notebooks`, shown in CONTRIBUTING.

The floors are those of the linter of layers (`[tool.importlinter]` in pyproject.toml). A room's words are the first
line of its docstring. An arrow is an import; one that longer ways of arrows imply is left out.
"""

import ast
import tomllib
from pathlib import Path

import grimp

from analysis.figures.boxes import DATA, LEARNED, PLAIN, WIDTH, Box, Canvas

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "book" / "_static" / "rooms.svg"
ALT = "The rooms of the package on their floors; arrows point down, from a room to those that it imports."

_MARGIN, _GAP, _HALF = 16.0, 44.0, 330.0


def floors() -> list[list[str]]:
    """The rooms, from the top floor down, as the linter of layers has them; the engine is the ground."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = [[f"analysis.{room.strip()}" for room in layer.split("|")] for layer in layers]
    return [["harness"], *rooms, ["fused"]]


def imports(rooms: list[str]) -> list[tuple[str, str]]:
    """Which room imports which, without what longer ways imply."""
    graph = grimp.build_graph("analysis", "fused", "harness", cache_dir=None)
    for room in rooms:
        graph.squash_module(room)
    below = {room: sorted(graph.find_modules_directly_imported_by(room) & set(rooms) - {room}) for room in rooms}
    return [
        (upper, lower)
        for upper in rooms
        for lower in below[upper]
        if not any(graph.chain_exists(between, lower) for between in below[upper] if between != lower)
    ]


def job(room: str) -> str:
    """What a room is for: the first line of its docstring."""
    text = ROOT.joinpath(*room.split("."), "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def picture() -> str:
    """The drawing, as SVG."""
    canvas, boxes, top = Canvas("The rooms of the package"), {}, _MARGIN
    for floor in floors():
        for place, room in enumerate(floor):
            left = (WIDTH - _HALF) / 2 if len(floor) == 1 else _MARGIN + place * (WIDTH - 2 * _MARGIN - _HALF)
            fill = {"fused": LEARNED, "harness": PLAIN}.get(room, DATA)
            lines = [f"{room.removeprefix('analysis.')}/", *_wrapped(job(room))]
            boxes[room] = canvas.box(left, top, _HALF, lines, fill=fill)
        top = max(boxes[room].bottom for room in floor) + _GAP
    shown, canvas.shapes = canvas.shapes, []
    for upper, lower in imports(list(boxes)):
        _arrow(canvas, boxes[upper], boxes[lower])
    canvas.shapes += shown  # boxes lie over the arrows that pass behind them
    return canvas.finish(top - _GAP + _MARGIN, ALT).svg


def _wrapped(words: str) -> list[str]:
    """A sentence in lines of a box."""
    lines = [""]
    for word in words.rstrip(".").split():
        if len(lines[-1]) + len(word) > 31:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _arrow(canvas: Canvas, upper: Box, lower: Box) -> None:
    """From the lower edge of one box to the upper edge of another."""
    canvas.arrow((upper.centre, upper.bottom), (lower.centre, lower.y))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
