"""The path of the data, drawn: from QM9 to the figures of this book (appendix Figure 1 of the report)."""

from analysis.data import splits
from analysis.data.molecules import Molecules
from analysis.figures import style
from analysis.figures.baseline import SHORT_NAMES
from analysis.figures.boxes import DATA, LEARNED, PLAIN, WIDTH, Canvas
from analysis.figures.words import mark, say
from analysis.runs.config import Data

# px: the margin, the gap between boxes that an arrow joins, and the widths of boxes.
_MARGIN, _GAP = 12.0, 24.0
_ALL = WIDTH - 2 * _MARGIN
_THIRD, _HALF = (_ALL - 2 * _GAP) / 3, (_ALL - _GAP) / 2
_RIGHT = _MARGIN + _HALF + _GAP

_LINES = {
    "database": (mark("QM9, checked"), mark("{count} molecules")),
    "train": (mark("Training"), mark("{count} molecules")),
    "validation": (mark("Validation"), mark("{count} molecules")),
    "test": (mark("Test"), mark("{count} molecules")),
    "selection": (mark("Selection"), mark("those that the experiment asks for")),
    "offsets": (mark("Reference energies"), mark("per element, and the mean μ per atom")),
    "neighbours": (mark("Neighbours and batches"), mark("pairs up to the cutoff")),
    "training": (mark("SchNet is trained"), mark("and validated after each epoch")),
    "as_reported": (mark("the whole set of a size or element,"), mark("with its own μ")),
    "held_out": (mark("molecules not trained on,"), mark("with the training set’s μ")),
    "record": (mark("Record of the run"), mark("configuration, weights, curves, errors, sums by size and element")),
    "book": (mark("Figures, tables and verdicts"), mark("mean and spread over seeds")),
}


def diagram(data: Data, molecules: Molecules, *, lang: str) -> style.Drawings:
    """What every run goes through, with the numbers of molecules of the split that `data` says."""
    split = splits.split(molecules, data.split_seed, data.held_out)
    canvas = Canvas(say("The path of the data", lang))

    def lines(name: str, count: int | None = None) -> list[str]:
        number = {} if count is None else {"count": style.number(count, lang)}
        what, how = _LINES[name]
        return [say(what, lang), say(how, lang, **number)]

    database = canvas.box((WIDTH - _HALF) / 2, _MARGIN, _HALF, lines("database", len(molecules)), fill=DATA)
    members = {"train": split.train, "validation": split.validation, "test": split.test}
    top, columns = database.bottom + 2 * _GAP, [_MARGIN + place * (_THIRD + _GAP) for place in range(3)]
    train, validation, test = (
        canvas.box(x, top, _THIRD, lines(name, len(part)), fill=DATA)
        for x, (name, part) in zip(columns, members.items(), strict=True)
    )
    fork = database.bottom + _GAP
    stem = (database.centre, database.bottom), (database.centre, fork)
    for part in (train, validation, test):
        canvas.arrow(*stem, (part.centre, fork), (part.centre, part.y))
    canvas.text(database.centre + 10, fork - 6, say("at random, with a seed", lang), anchor="start", room=_HALF)

    steps = [train]
    for name in ("selection", "offsets", "neighbours", "training"):
        fill = LEARNED if name == "training" else PLAIN
        steps.append(canvas.box(_MARGIN, steps[-1].bottom + _GAP, _HALF, lines(name), fill=fill))
    canvas.down(*steps)
    training = steps[-1]
    top = training.bottom + 2 * _GAP
    reported, held_out = (
        canvas.box(x, top, _HALF, [say(SHORT_NAMES[name], lang), *lines(name)])
        for x, name in ((_MARGIN, "as_reported"), (_RIGHT, "held_out"))
    )
    right = training.x + training.width
    between = (right + _RIGHT) / 2
    canvas.arrow((between, validation.bottom), (between, training.middle), (right, training.middle))
    canvas.down(training, reported)
    leaves, enters = training.middle + 14, _RIGHT + 24
    canvas.arrow((right, leaves), (enters, leaves), (enters, held_out.y))
    for x, part in ((validation.x + validation.width - 24, validation), (test.centre, test)):
        canvas.arrow((x, part.bottom), (x, held_out.y))

    record = canvas.box(_MARGIN, held_out.bottom + _GAP, _ALL, lines("record"), fill=DATA)
    for box in (reported, held_out):
        canvas.arrow((box.centre, box.bottom), (box.centre, record.y))
    book = canvas.box(_MARGIN, record.bottom + _GAP, _ALL, lines("book"))
    canvas.down(record, book)
    alt = mark(
        "Diagram of the path of the data in boxes and arrows. The database is split into training, validation and "
        "test. The training part goes through selection, reference energies and neighbours to the training, which "
        "looks at the validation part after each epoch. The trained network is evaluated under both protocols; the "
        "results go to the record, and the figures come from the record."
    )
    return canvas.finish(book.bottom + _MARGIN, say(alt, lang))
