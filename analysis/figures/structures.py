"""The held-out molecules that the models predict worst: in a table, drawn, and in three dimensions.

Every function takes the records of several seeds of one configuration and the molecules that they were made with. It
looks at molecules that are held out in all of these records, alone: the error of a molecule that one of the models was
trained on would be another kind of error. The worst are those whose absolute error, mean over seeds, is largest.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import rdCoordGen
from rdkit.Chem.Draw import rdMolDraw2D

from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation.error_sources import errors_by_seed
from analysis.figures import baseline, style
from analysis.figures.words import mark, say
from analysis.runs.records import Record

if TYPE_CHECKING:
    from chemiscope.widget import ChemiscopeWidget

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

# All in px. A phone shows 720 of them on 360: 17 px text is 8.5 px there.
_COLUMNS = 4
_CELL_WIDTH, _DRAWING_HEIGHT, _CAPTION_HEIGHT = 180, 140, 78
_TEXT, _LINE = 17, 22
_BOND = 34

# Where chemiscope's JavaScript reports to plausible.io that it is shown, from localhost too; it has no setting for it.
_REPORT = "function sendEvent(e,t,r){"


def worst(
    records: Sequence[Record], molecules: Molecules, *, lang: str, size: int | None = None, count: int = 8
) -> pd.DataFrame:
    """The worst-predicted molecules, worst first, beside the usual error of their neighbours in size.

    `count` of those of `size` atoms (None: any), or as many as there are. A row per molecule, under its QM9 index, all
    as text: formula (Hill's order), number of atoms, absolute error (meV, mean over seeds: what they are sorted by),
    predicted − true U0 (meV, mean ± standard deviation over seeds), the median over molecules of the absolute error for
    the molecule's own number of atoms and for the nearest below and above that are held out, and SMILES.

    Raises ValueError if there is no record; if none of the molecules, or none of that size, is held out in all of them
    (the message says which sizes there are); if `count` is below 1; if a held-out molecule is not among `molecules`; or
    for another language.
    """
    errors = _held_out(records, molecules)
    chosen = _choose(errors, molecules, size, count)
    medians = errors.groupby("n_atoms")["absolute"].median() * style.MEV
    rows = [
        {
            say("Formula", lang): row.formula,
            say("Number of atoms", lang): str(row.n_atoms),
            say("Mean absolute error (meV)", lang): style.number(row.absolute * style.MEV, lang),
            say("Prediction − reference (meV)", lang): _signed(row, lang),
            say("Median absolute error by size (meV)", lang): _neighbours(medians, row.n_atoms, lang),
            say("SMILES", lang): row.smiles,
        }
        for row in chosen.itertuples()
    ]
    return pd.DataFrame(rows, index=chosen.index.astype(str).tolist()).rename_axis(columns=say("QM9 index", lang))


def drawings(
    records: Sequence[Record], molecules: Molecules, *, lang: str, size: int | None = None, count: int = 8
) -> style.Drawings:
    """The molecules of `worst`, drawn by RDKit from their SMILES, with QM9 index, formula and error under each.

    Bonds and charges are those of the SMILES. Where it is missing or RDKit does not read it, the place stays empty and
    says so. Parameters and errors are those of `worst`.
    """
    chosen = _choose(_held_out(records, molecules), molecules, size, count)
    n_columns, n_rows = min(_COLUMNS, len(chosen)), -(-len(chosen) // _COLUMNS)
    row_height = _DRAWING_HEIGHT + _CAPTION_HEIGHT
    drawer = rdMolDraw2D.MolDraw2DSVG(n_columns * _CELL_WIDTH, n_rows * row_height, _CELL_WIDTH, _DRAWING_HEIGHT)
    options = drawer.drawOptions()
    options.fixedBondLength = _BOND
    options.fixedFontSize = _TEXT
    options.padding = 0.08
    captions = []
    for place, row in enumerate(chosen.itertuples()):
        left, top = place % _COLUMNS * _CELL_WIDTH, place // _COLUMNS * row_height
        structure = _structure(row.smiles)
        if structure is None:
            captions.append(_text(say("no drawing", lang), left, top + _DRAWING_HEIGHT / 2, style.GREY))
        else:
            drawer.SetOffset(left, top)
            drawer.DrawMolecule(structure)
        lines = [f"QM9 {row.Index}", row.formula, f"{_signed(row, lang)} meV"]
        captions += [_text(line, left, top + _DRAWING_HEIGHT + n * _LINE) for n, line in enumerate(lines, start=1)]
    drawer.FinishDrawing()
    svg = drawer.GetDrawingText().replace("</svg>", "".join(captions) + "</svg>")
    of_seeds = errors_by_seed(records).loc[chosen.index]
    shown = chosen[["smiles", "n_atoms"]].rename_axis("index")
    data = baseline.of_runs(records, lambda record: shown.assign(error_eV=of_seeds[record.config.seed]).reset_index())
    ascii_only = svg.encode("ascii", "xmlcharrefreplace").decode("ascii")
    alt = mark(
        "Structural formulas of the held-out molecules of largest error, worst first, with the index in the "
        "database, the molecular formula and the error under each; the table has the same molecules."
    )
    return style.Drawings(ascii_only, say(alt, lang), data)


def viewer(
    records: Sequence[Record], molecules: Molecules, *, lang: str, size: int | None = None, count: int = 8
) -> "ChemiscopeWidget":
    """The molecules of `worst` in three dimensions, to be turned in JupyterLab; nothing is asked of the network.

    chemiscope as it is would report each view to plausible.io; here that one function of its JavaScript is left empty.

    A map of error against number of atoms stands beside: a click on a point shows its molecule. The geometry is QM9's
    own, bonds are drawn where atoms are near. chemiscope's own words are in English in either language.

    Parameters are those of `worst`. Raises what it raises, and RuntimeError if chemiscope's report is not where it was.
    """
    chosen = _choose(_held_out(records, molecules), molecules, size, count)
    # Slow to import, and needed here alone.
    import chemiscope
    from chemiscope.widget import ChemiscopeWidget

    properties = {
        say("Number of atoms", lang): chosen["n_atoms"].to_numpy(),
        say("Mean absolute error (meV)", lang): chosen["absolute"].to_numpy() * style.MEV,
        say("Prediction − reference (meV)", lang): chosen["signed"].to_numpy() * style.MEV,
        say("QM9 index", lang): chosen.index.to_numpy(),
        say("Formula", lang): chosen["formula"].tolist(),
        say("SMILES", lang): chosen["smiles"].tolist(),
    }
    dataset = chemiscope.create_input(
        to_ase(molecules.select(chosen["position"].to_numpy())),
        # Said, as chemiscope takes a lone atom's values for those of either.
        properties={name: {"target": "structure", "values": values} for name, values in properties.items()},
        metadata={"name": say("Largest errors", lang)},
        settings=chemiscope.quick_settings(x=say("Number of atoms", lang), y=say("Mean absolute error (meV)", lang)),
    )

    class SilentWidget(ChemiscopeWidget):
        _esm = _without_report(Path(chemiscope.__file__).parent / "static" / "chemiscope-widget.mjs")

    return SilentWidget(dataset, has_metadata=True, warning_timeout=10_000, cache_structures=True)


def _without_report(path: Path) -> str:
    """Chemiscope's JavaScript, silent. Raises RuntimeError if the function to silence is not there once."""
    source = path.read_text(encoding="utf-8")
    if source.count(_REPORT) != 1:
        raise RuntimeError(f"{path} reports views in a way not known here: install the version of constraints.txt")
    return source.replace(_REPORT, f"{_REPORT}return;")


def _held_out(records: Sequence[Record], molecules: Molecules) -> pd.DataFrame:
    """The molecules that are held out in every record, by QM9 index.

    Their position in `molecules`, number of atoms, and error over seeds, eV: mean (`signed`), standard deviation (NaN
    for one seed), and mean of the absolute one (`absolute`).
    """
    of_seeds = errors_by_seed(records)
    position = pd.Index(molecules.index).get_indexer(of_seeds.index)
    if (position < 0).any():
        unknown = of_seeds.index[position < 0][0]
        raise ValueError(f"molecule {unknown} of the records is not among the molecules: give those of the runs")
    return pd.DataFrame(
        {
            "position": position,
            "n_atoms": molecules.n_atoms[position],
            "signed": of_seeds.mean(axis=1),
            "deviation": of_seeds.std(axis=1, ddof=1),
            "absolute": of_seeds.abs().mean(axis=1),
        }
    )


def _choose(errors: pd.DataFrame, molecules: Molecules, size: int | None, count: int) -> pd.DataFrame:
    """The `count` worst of that size, or of all, with `formula` and `smiles`."""
    if count < 1:
        raise ValueError(f"count = {count}: it must be at least 1")
    of_size = errors if size is None else errors[errors["n_atoms"] == size]
    if of_size.empty:
        raise ValueError(
            f"size = {size}: no held-out molecule has that many atoms; there are some of "
            f"{style.ranges(errors['n_atoms'], 'en')} atoms"
        )
    chosen = of_size.sort_values("absolute", ascending=False, kind="stable").head(count)
    atoms = to_ase(molecules.select(chosen["position"].to_numpy()))
    return chosen.assign(
        formula=[each.get_chemical_formula("hill").translate(_SUBSCRIPTS) for each in atoms],
        smiles=[each.info.get("smiles", "") for each in atoms],
    )


def _signed(row: Any, lang: str) -> str:
    mean = style.number(row.signed * style.MEV, lang)
    return mean if np.isnan(row.deviation) else f"{mean} ± {style.number(row.deviation * style.MEV, lang)}"


def _neighbours(medians: pd.Series, n_atoms: int, lang: str) -> str:
    """The medians of a size and of the nearest sizes on either side: "17: 96 · 18: 91 · 19: 90"."""
    place = medians.index.get_loc(n_atoms)
    near = medians.iloc[max(0, place - 1) : place + 2]
    return " · ".join(f"{size}: {style.number(median, lang)}" for size, median in near.items())


def _structure(smiles: str) -> Chem.Mol | None:
    """The molecule that a SMILES says, with places for its atoms; None if it says none."""
    with rdBase.BlockLogs():
        structure = Chem.MolFromSmiles(smiles)
    if structure is None or structure.GetNumAtoms() == 0:
        return None
    # Bonds cross in fewer drawings than with RDKit's own places (110 against 188 of 2,000 held-out molecules), though
    # more often two atoms come close (60 against 24); among the 200 worst the two are much alike.
    rdCoordGen.AddCoords(structure)
    return structure


def _text(text: str, left: float, baseline: float, colour: str = style.BLACK) -> str:
    return (
        f"<text x='{left + _CELL_WIDTH / 2:g}' y='{baseline:g}' text-anchor='middle' fill='{colour}' "
        f"font-family='DejaVu Sans, Verdana, sans-serif' font-size='{_TEXT}'>{escape(text)}</text>\n"
    )
