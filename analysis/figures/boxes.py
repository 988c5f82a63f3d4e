"""Boxes and arrows as SVG: diagrams whose words stay words, in the language of the page.

Lengths are in px of the drawing. A page shows it some 720 px wide and a phone half of that: `SMALL` text is 8 px there.
Words are measured in DejaVu Sans, the widest of the fonts that the drawing asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from xml.sax.saxutils import escape

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from analysis.figures import style

WIDTH = 720
LARGE, SMALL = 17, 16
FONT = "DejaVu Sans, Verdana, sans-serif"
PLAIN, DATA, LEARNED, GROUND = "#F2F2F2", "#E3EEF7", "#FDF0D5", "#FAFAFA"
"""Fills: what computes and learns nothing, what is data, what has parameters, the ground of a frame."""

_PADDING, _LEADING = 8, 22


class DoesNotFitError(ValueError):
    """Words are wider than their box."""


@dataclass(frozen=True)
class Box:
    """A box that is drawn: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The y of its middle."""
        return self.y + self.height / 2


@dataclass
class Canvas:
    """What is drawn so far; later shapes lie on top of earlier ones.

    `title` is what the drawing is called, for readers who don't see it.
    """

    title: str
    shapes: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, lines: Sequence[str], *, fill: str = PLAIN) -> Box:
        """A box as high as its lines, the first of them bold. Raises DoesNotFitError if one is too wide."""
        drawn = Box(x, y, width, _LEADING * len(lines) + 2 * _PADDING)
        self._rectangle(drawn, fill, style.GREY)
        for number, line in enumerate(lines):
            baseline = y + _PADDING + _LEADING * (number + 0.75)
            self.text(drawn.centre, baseline, line, bold=number == 0, room=width - 2 * _PADDING)
        return drawn

    def frame(self, x: float, y: float, width: float, bottom: float, name: str, *, under: int) -> Box:
        """A frame around what was drawn since there were `under` shapes, its name in its upper left corner."""
        drawn = Box(x, y, width, bottom - y)
        inside, self.shapes[under:] = self.shapes[under:], []
        self._rectangle(drawn, GROUND, style.BLACK)
        baseline = y + _PADDING + 0.75 * _LEADING
        self.text(x + _PADDING, baseline, name, bold=True, anchor="start", room=width - 2 * _PADDING)
        self.shapes += inside
        return drawn

    def text(
        self, x: float, y: float, words: str, *, bold: bool = False, anchor: str = "middle", room: float = WIDTH
    ) -> None:
        """Words on the baseline `y`. Raises DoesNotFitError if they are wider than `room`."""
        size = LARGE if bold else SMALL
        width = text_width(words, size, bold=bold)
        if width > room:
            raise DoesNotFitError(f"{words!r} is {width:.0f} px wide, and there is room for {room:.0f}")
        weight = " font-weight='bold'" if bold else ""
        self.shapes.append(
            f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' font-size='{size}'{weight}>{escape(words)}</text>"
        )

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """An arrow along some points."""
        path = " ".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(points))
        dashes = " stroke-dasharray='5 4'" if dashed else ""
        self.shapes.append(
            f"<path d='{path}' fill='none' stroke='{style.BLACK}' stroke-width='1.6'{dashes} marker-end='url(#head)'/>"
        )

    def down(self, *boxes: Box) -> None:
        """An arrow from each box straight down to the next."""
        for upper, lower in pairwise(boxes):
            self.arrow((upper.centre, upper.bottom), (upper.centre, lower.y))

    def finish(self, height: float, alt: str) -> style.Drawings:
        """The drawing, `WIDTH` wide and `height` high, on white, with `alt` as its description."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:g}' "
            f"viewBox='0 0 {WIDTH} {height:g}' role='img' aria-labelledby='title desc' "
            f"font-family='{FONT}' fill='{style.BLACK}'>\n"
            f"<title id='title'>{escape(self.title)}</title>\n<desc id='desc'>{escape(alt)}</desc>\n"
            "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' "
            "orient='auto'><path d='M0 0L10 5L0 10z'/></marker></defs>\n"
            f"<rect width='{WIDTH}' height='{height:g}' fill='#FFFFFF'/>\n"
        )
        svg = head + "\n".join(self.shapes) + "\n</svg>\n"
        return style.Drawings(svg.encode("ascii", "xmlcharrefreplace").decode("ascii"), alt)

    def _rectangle(self, box: Box, fill: str, stroke: str) -> None:
        self.shapes.append(
            f"<rect x='{box.x:g}' y='{box.y:g}' width='{box.width:g}' height='{box.height:g}' rx='6' "
            f"fill='{fill}' stroke='{stroke}'/>"
        )


@cache
def text_width(words: str, size: float, *, bold: bool = False) -> float:
    """How wide words are, px, in DejaVu Sans."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return float(TextPath((0, 0), words, size=size, prop=font).get_extents().x1)
