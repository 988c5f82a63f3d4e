"""The path of the data, drawn: from QM9 to the figures of this book (appendix Figure 1 of the report)."""

from analysis.data import splits
from analysis.data.molecules import Molecules
from analysis.figures import style
from analysis.figures.boxes import DATA, LEARNED, PLAIN, WIDTH, Canvas
from analysis.figures.labels import alt, label
from analysis.runs.config import Data

# px: the margin, the gap between boxes that an arrow joins, and the widths of boxes.
_MARGIN, _GAP = 12.0, 24.0
_ALL = WIDTH - 2 * _MARGIN
_THIRD, _HALF = (_ALL - 2 * _GAP) / 3, (_ALL - _GAP) / 2
_RIGHT = _MARGIN + _HALF + _GAP


def diagram(data: Data, molecules: Molecules, *, lang: str) -> style.Drawings:
    """What every run goes through, with the numbers of molecules of its split.

    Parameters
    ----------
    data
        The part of a run's configuration that says how it splits.
    molecules
        The whole database.
    """
    split = splits.split(molecules, data.split_seed, data.held_out)
    canvas = Canvas(label("pipeline", lang))

    def lines(name: str, count: int | None = None) -> list[str]:
        number = {} if count is None else {"count": style.number(count, lang)}
        return [label(f"pipe_{name}", lang), label(f"pipe_{name}_how", lang, **number)]

    database = canvas.box((WIDTH - _HALF) / 2, _MARGIN, _HALF, lines("database", len(molecules)), fill=DATA)
    members = {"train": split.train, "validation": split.validation, "test": split.test}
    train, validation, test = (
        canvas.box(
            _MARGIN + place * (_THIRD + _GAP), database.bottom + 2 * _GAP, _THIRD, lines(name, len(part)), fill=DATA
        )
        for place, (name, part) in enumerate(members.items())
    )
    fork = database.bottom + _GAP
    for part in (train, validation, test):
        canvas.arrow(
            (database.centre, database.bottom), (database.centre, fork), (part.centre, fork), (part.centre, part.y)
        )
    canvas.text(database.centre + 10, fork - 6, label("pipe_split", lang), anchor="start", room=_HALF)

    steps = [train]
    for name in ("selection", "offsets", "neighbours", "training"):
        fill = LEARNED if name == "training" else PLAIN
        steps.append(canvas.box(_MARGIN, steps[-1].bottom + _GAP, _HALF, lines(name), fill=fill))
    canvas.down(*steps)
    training = steps[-1]
    top = training.bottom + 2 * _GAP
    reported, held_out = (
        canvas.box(x, top, _HALF, [name, *lines(name)]) for x, name in ((_MARGIN, "as_reported"), (_RIGHT, "held_out"))
    )
    between = (training.x + training.width + _RIGHT) / 2
    canvas.arrow(
        (between, validation.bottom), (between, training.middle), (training.x + training.width, training.middle)
    )
    canvas.down(training, reported)
    leaves, enters = training.middle + 14, _RIGHT + 24
    canvas.arrow((training.x + training.width, leaves), (enters, leaves), (enters, held_out.y))
    for x, part in ((validation.x + validation.width - 24, validation), (test.centre, test)):
        canvas.arrow((x, part.bottom), (x, held_out.y))

    record = canvas.box(_MARGIN, held_out.bottom + _GAP, _ALL, lines("record"), fill=DATA)
    for box in (reported, held_out):
        canvas.arrow((box.centre, box.bottom), (box.centre, record.y))
    book = canvas.box(_MARGIN, record.bottom + _GAP, _ALL, lines("book"))
    canvas.down(record, book)
    return canvas.finish(book.bottom + _MARGIN, alt("pipeline", lang))
