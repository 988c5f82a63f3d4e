"""The network as it was built, drawn from itself: modules, shapes of their results, numbers of parameters (Figure 2).

Nothing here is typed: the model is made by `networks.build_from`, given two small batches, and asked.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from schnetpack import properties
from schnetpack.model import NeuralNetworkPotential

from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs
from analysis.figures import style
from analysis.figures.boxes import DATA, LEARNED, Box, Canvas
from analysis.figures.words import mark, say
from analysis.runs.config import Model
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules

# Modules that return SchNetPack's dictionary: what they put into it.
_RESULTS = {"input_modules.0": properties.Rij, "representation": "scalar_representation", "output_modules.0": ENERGY}
_BLOCKS, _READOUT = "representation.interactions", "output_modules.0"

# px: the two columns; gaps between boxes; what a frame needs around them and above.
_LEFT, _RIGHT, _COLUMN = 12.0, 392.0, 316.0
_GAP, _INDENT, _BETWEEN, _HEAD, _TOP = 22.0, 12.0, 12.0, 40.0, 12.0
_INNER = _COLUMN - 2 * _INDENT
_HALF = (_INNER - _BETWEEN) / 2
_ACTIVATIONS = {"shifted_softplus": "softplus", "silu": "SiLU"}


@dataclass(frozen=True)
class Part:
    """A module of the model: its class, its trainable parameters, and the shapes of what it takes and gives.

    A dimension is a number of the model, or a letter for one that depends on the batch: M molecules, A atoms, P ordered
    pairs of neighbours. `takes` is empty for modules that take SchNetPack's dictionary, `activation` without one.
    """

    kind: str
    parameters: int
    takes: tuple[int | str, ...] = ()
    gives: tuple[int | str, ...] = ()
    activation: str = ""


def parts(model: Model, molecules: Molecules) -> dict[str, Part]:
    """Each module by its path in the model, and under "" the model itself.

    Shapes are found by comparing a batch of the first two molecules with one of the first three. Raises ValueError for
    fewer than three.
    """
    if len(molecules) < 3:
        raise ValueError(f"{len(molecules)} molecules: shapes are found by comparing batches of two and of three")
    # SchNetPack's own modules, so that each step can be watched; the fused ones have the same parameters.
    built = networks.build_from(model, fused=False)
    few = molecules.select(np.arange(3))
    packed = PackedMolecules(few, neighbour_pairs(few, model.data_cutoff))
    batches = [packed.batch(np.arange(count), stock=True) for count in (2, 3)]
    counts = [
        {"M": len(batch[properties.n_atoms]), "A": len(batch[properties.Z]), "P": len(batch[properties.idx_i])}
        for batch in batches
    ]
    seen = [_shapes(built, batch) for batch in batches]
    found = {}
    for path, module in built.named_modules():
        takes, gives = (
            tuple(_dimension(sizes, counts) for sizes in zip(*(each[path][side] for each in seen), strict=True))
            for side in (0, 1)
        )
        own = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        activation = getattr(getattr(module, "activation", None), "__name__", "")
        found[path] = Part(type(module).__name__, own, takes, gives, activation)
    return found


def diagram(model: Model, molecules: Molecules, *, lang: str) -> style.Drawings:
    """The model as in Figure 2 of the report: on the left the whole, on the right an interaction block and the readout.

    Parameters and errors are those of `parts`.
    """
    found = parts(model, molecules)
    canvas = Canvas(say("The model, module by module", lang))
    interactions, readout, energy = _whole(canvas, found, lang)
    block = _interaction(canvas, found, lang)
    opened = _atomwise(canvas, found, block.bottom + _GAP, lang)
    for small, large in ((interactions, block), (readout, opened)):
        height = min(max(small.middle, large.y + _HEAD), large.bottom - _HEAD)
        turn = (small.x + small.width + large.x) / 2
        corners = (turn, small.middle), (turn, height)
        canvas.arrow((small.x + small.width, small.middle), *corners, (large.x, height), dashed=True)
    total = say("{count} parameters in all", lang, count=style.number(found[""].parameters, lang))
    canvas.text(opened.centre, opened.bottom + 1.6 * _GAP, total, bold=True, room=_COLUMN)
    alt = mark(
        "Diagram of the model in boxes and arrows. On the left, from top to bottom: the batch, the vectors between "
        "neighbours, the network SchNet with its embedding and interaction blocks, the atom-wise readout and the "
        "energy. On the right, opened up, an interaction block (a layer for the atoms, a network that makes the "
        "filter from the distance, the convolution and two more layers) and the readout. Each box says the shape of "
        "its result and how many parameters it has."
    )
    return canvas.finish(max(energy.bottom + _TOP, opened.bottom + 2.4 * _GAP), say(alt, lang))


def facts(model: Model, molecules: Molecules, *, lang: str) -> dict[str, str]:
    """Every number of the network that the prose quotes; the same keys in both languages.

    `rows` are those of the embedding's table and `unused` its parameters for elements that none of `molecules` has.
    """
    found = parts(model, molecules)
    width = found["representation.embedding"].gives[-1]
    rows = found["representation.embedding"].parameters // width
    numbers = {
        "parameters": found[""].parameters,
        "interactions": sum(part.kind == found[f"{_BLOCKS}.0"].kind for part in found.values()),
        "gaussians": found["representation.radial_basis"].gives[-1],
        "features": width,
        "rows": rows,
        "elements": len(np.unique(molecules.numbers)),
        "unused": (rows - len(np.unique(molecules.numbers))) * width,
    }
    return {name: style.number(value, lang) for name, value in numbers.items()}


def _whole(canvas: Canvas, found: Mapping[str, Part], lang: str) -> tuple[Box, Box, Box]:
    """The left column, from the batch to the energy: the boxes of interactions, readout and energy."""
    pairwise, network = found["input_modules.0"], found["representation"]
    batch = [
        say("A batch of M molecules", lang),
        say("Z: atomic numbers {shape}", lang, shape=_shape(("A",), lang)),
        say("R: positions, Å {shape}", lang, shape=_shape(("A", 3), lang)),
        say("V: neighbours i, j {shape}", lang, shape=_shape(("P", 2), lang)),
    ]
    inputs = canvas.box(_LEFT, _TOP, _COLUMN, batch, fill=DATA)
    vectors = say("Rᵥ: vectors between them {shape}", lang, shape=_shape(pairwise.gives, lang))
    distances = canvas.box(_LEFT, inputs.bottom + _GAP, _COLUMN, [pairwise.kind, vectors, _count(pairwise, lang)])
    canvas.down(inputs, distances)
    under, top = len(canvas.shapes), distances.bottom + _GAP
    radial, cutoff, table = (found[f"representation.{name}"] for name in ("radial_basis", "cutoff_fn", "embedding"))
    row = [
        canvas.box(x, top + _HEAD, _HALF, [part.kind, _shape(part.gives, lang)])
        for x, part in ((_LEFT + _INDENT, radial), (_LEFT + _INDENT + _HALF + _BETWEEN, cutoff))
    ]
    features = say("X: features {shape}", lang, shape=_shape(table.gives, lang))
    lines = [table.kind, features, _count(table, lang)]
    embedding = canvas.box(_LEFT + _INDENT, row[0].bottom + _BETWEEN, _INNER, lines, fill=LEARNED)
    block = found[f"{_BLOCKS}.0"]
    count = sum(part.kind == block.kind for part in found.values())
    lines = [f"{block.kind} × {count}", features, f"{count} × {_count(block, lang)}"]
    interactions = canvas.box(_LEFT + _INDENT, embedding.bottom + _GAP, _INNER, lines, fill=LEARNED)
    canvas.down(embedding, interactions)
    name = f"{network.kind}: {_count(network, lang)}"
    frame = canvas.frame(_LEFT, top, _COLUMN, interactions.bottom + _INDENT, name, under=under)
    canvas.down(distances, frame)
    readout = found[_READOUT]
    change = f"{_shape(network.gives, lang)} → {_shape(readout.gives, lang)}"
    last = canvas.box(_LEFT, frame.bottom + _GAP, _COLUMN, [readout.kind, change, _count(readout, lang)], fill=LEARNED)
    total = say("= U₀, in eV {shape}", lang, shape=_shape(readout.gives, lang))
    lines = [say("Energy that it learns", lang), say("+ references and mean per atom", lang), total]
    energy = canvas.box(_LEFT, last.bottom + _GAP, _COLUMN, lines, fill=DATA)
    canvas.down(frame, last, energy)
    return interactions, last, energy


def _interaction(canvas: Canvas, found: Mapping[str, Part], lang: str) -> Box:
    """The upper right: what an interaction block does."""
    path, radial = f"{_BLOCKS}.0", found["representation.radial_basis"]
    left, right = _RIGHT + _INDENT, _RIGHT + _INDENT + _HALF + _BETWEEN
    under, dense = len(canvas.shapes), partial(_dense, canvas, found, lang=lang)
    features = canvas.box(left, _TOP + _HEAD, _HALF, ["X", _shape(found[path].takes, lang)], fill=DATA)
    distances = canvas.box(right, _TOP + _HEAD, _HALF, [radial.kind, _shape(radial.gives, lang)])
    filters = dense(f"{path}.filter_network.0", right, distances.bottom + _GAP, _HALF)
    filters_out = dense(f"{path}.filter_network.1", right, filters.bottom + _GAP, _HALF)
    first = dense(f"{path}.in2f", left, filters_out.y, _HALF)
    lines = [
        say("Convolution", lang),
        say("X × filter × {cutoff}", lang, cutoff=found["representation.cutoff_fn"].kind),
        f"{say('sum over the neighbours', lang)} {_shape(found[f'{path}.f2out'].takes, lang)}",
    ]
    convolved = canvas.box(left, filters_out.bottom + _GAP, _INNER, lines)
    out = dense(f"{path}.f2out.0", left, convolved.bottom + _GAP, _INNER)
    last = dense(f"{path}.f2out.1", left, out.bottom + _GAP, _INNER)
    canvas.down(features, first)
    canvas.down(distances, filters, filters_out)
    for box in (first, filters_out):
        canvas.arrow((box.centre, box.bottom), (box.centre, convolved.y))
    canvas.down(convolved, out, last)
    canvas.text(_RIGHT + _COLUMN / 2, last.bottom + 1.3 * _GAP, say("the result is added to X", lang), room=_INNER)
    return canvas.frame(_RIGHT, _TOP, _COLUMN, last.bottom + 2 * _GAP, found[path].kind, under=under)


def _atomwise(canvas: Canvas, found: Mapping[str, Part], top: float, lang: str) -> Box:
    """The lower right: what the readout does."""
    left, under = _RIGHT + _INDENT, len(canvas.shapes)
    hidden = _dense(canvas, found, f"{_READOUT}.outnet.0", left, top + _HEAD, _HALF, lang=lang)
    output = _dense(canvas, found, f"{_READOUT}.outnet.1", left + _HALF + _BETWEEN, top + _HEAD, _HALF, lang=lang)
    canvas.arrow((hidden.x + hidden.width, output.middle), (output.x, output.middle))
    total = say("and a sum over the atoms: [M]", lang)
    canvas.text(_RIGHT + _COLUMN / 2, hidden.bottom + 1.3 * _GAP, total, room=_INNER)
    return canvas.frame(_RIGHT, top, _COLUMN, hidden.bottom + 2 * _GAP, found[_READOUT].kind, under=under)


def _dense(canvas: Canvas, found: Mapping[str, Part], path: str, x: float, y: float, width: float, *, lang: str) -> Box:
    layer = found[path]
    lines = [layer.kind, f"{layer.takes[-1]} → {layer.gives[-1]}", style.number(layer.parameters, lang)]
    if layer.activation:
        lines.insert(2, _ACTIVATIONS[layer.activation])
    return canvas.box(x, y, width, lines, fill=LEARNED)


def _count(part: Part, lang: str) -> str:
    return say("{count} parameters", lang, count=style.number(part.parameters, lang))


def _shape(dimensions: tuple[int | str, ...], lang: str) -> str:
    return f"[{' × '.join(d if isinstance(d, str) else style.number(d, lang) for d in dimensions)}]"


def _shapes(
    model: NeuralNetworkPotential, batch: dict[str, torch.Tensor]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """What each module takes first and gives for a batch."""
    found = dict.fromkeys((path for path, _ in model.named_modules()), ((), ()))

    def note(path: str, _: torch.nn.Module, arguments: tuple[object, ...], result: object) -> None:
        given = result[_RESULTS[path]] if path in _RESULTS else result
        found[path] = tuple(tuple(getattr(each, "shape", ())) for each in (arguments[0], given))

    with ExitStack() as hooks, torch.no_grad():
        for path, module in model.named_modules():
            hooks.callback(module.register_forward_hook(partial(note, path)).remove)
        model(dict(batch))
    return found


def _dimension(sizes: tuple[int, int], counts: list[dict[str, int]]) -> int | str:
    """A number that is the same in both batches, or the letter of what it counts."""
    if sizes[0] == sizes[1]:
        return sizes[0]
    return next(letter for letter in counts[0] if (counts[0][letter], counts[1][letter]) == sizes)
