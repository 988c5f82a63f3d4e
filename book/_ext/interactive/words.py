"""What the parts of a page that can be touched say, in English; `analysis/figures/ca.po` has the Catalan."""

from collections.abc import Mapping
from types import MappingProxyType

from analysis.figures import hyperparameters
from analysis.figures.words import messages

_MODELS = messages({"default": "Default", "custom": "Custom", "beyond": "Beyond", "model": "Model"})

SLIDER = messages(
    {
        "drag": "Drag it. The networks, the molecules and their predictions stay the same; only the mean that is taken "
        "away changes, and with it the curve.",
        "share": "The mean that is taken away:",
        "low": "the training set’s",
        "high": "each size’s own",
        "position": "{percent}% of the way to each size’s own mean",
        "picture": "Mean squared error by number of atoms of Default and Custom, with the mean at the slider’s "
        "position; the numbers stand in the tables below.",
        "start": "with the training set’s mean",
        "count": "molecules of each size",
        "atoms": "Number of atoms",
        "mse": "MSE (eV²)",
        "molecules": "Molecules",
        "table": "The numbers behind the curves",
        "lowest": "Lowest at (atoms)",
        "ratio": "Largest over smallest",
        "correlation": "Rank correlation with the number of molecules",
    }
)
EXPLORER = messages(
    {
        "mean": "Mean taken away",
        "training": "the training set’s",
        "own": "its size’s own",
        "axis": "Across",
        "atoms": "Number of atoms",
        "heavy": "Atoms other than hydrogen",
        "rings": "Rings",
        "element": "Holds",
        "any": "any element",
        "above": "Error of at least:",
        "none": "no limit",
        "mev": "{value} meV",
        "count": "{count} molecules: mean absolute error {mae} meV, root mean square {rmse} meV",
        "empty": "No molecule is like this.",
        "map": "Map of the test molecules by size and error; the buttons below it lead from one to the next.",
        "error": "Absolute error (meV)",
        "larger": "Larger error",
        "smaller": "Smaller error",
        "index": "QM9 number",
        "show": "Show",
        "absent": "QM9 {index} is not among the test molecules.",
        "view": "Ball-and-stick model of {formula}; the arrow keys turn it",
        "parts": "{atoms} atoms, {heavy} of them not hydrogen; rings: {rings}",
        "errors": "Error of the seeds’ mean (meV), by the mean taken away",
        "alike": "The test molecules most like it",
        "alikeCaption": "By elements and distances of their pairs of atoms",
        "formula": "Formula",
        "distance": "Distance",
        "errorOf": "Error (meV)",
        "records": "The recorded error of each seed",
        "recordsCaption": "Predicted − true U0, with the training set’s mean",
        "record": "Record",
    }
)
SAID = messages(
    {
        "empty": "it has no atoms",
        "tooLarge": "it has {count} atoms, more than {most}",
        "foreign": "it holds {symbols}; the models know only H, C, N, O and F",
        "odd": "it has {electrons} electrons, an odd number: a radical or an ion; the models know only closed shells",
        "lost": "the position of its atom {atom} is no number, or too far away",
        "nanometres": "its coordinates can’t be in Å (neighbours are {typical} apart): they seem to be in nm: "
        "multiply them by 10",
        "bohr": "its coordinates can’t be in Å (neighbours are {typical} apart): they seem to be in bohr: multiply "
        "them by 0.529177",
        "picometres": "its coordinates can’t be in Å (neighbours are {typical} apart): they seem to be in pm: divide "
        "them by 100",
        "close": "its atoms {first} and {second} are {distance} Å apart, less than {nearest} Å",
        "apart": "no two of its atoms are nearer than {distance} Å: it is no molecule, or not in Å",
        "atomsOutside": "{value} atoms; the training molecules have {low} to {high}",
        "heavyOutside": "{value} atoms other than hydrogen; the training molecules have {low} to {high}",
        "parts": "{count} parts that no bond holds together; the training molecules are one",
        "environment": "{symbol} bonded to {around} (atom {atom}; a digit is the neighbour’s number of bonds): no "
        "training molecule has such an atom",
        "alone": "{symbol} bonded to nothing (atom {atom}; a digit is the neighbour’s number of bonds): no training "
        "molecule has such an atom",
        "distance": "{one} and {other} {distance} Å apart (atoms {first} and {second}): no training molecule has such "
        "a distance; is the geometry relaxed?",
        "spread": "the models differ more than usual: by {spread} eV, above {usual} eV",
        "divided": "the models differ by {spread} eV: above {widest} eV no interval holds at such geometries",
        "unbound": "the models say {atomisation} eV of its atomisation: it is unbound, or nothing they know",
        "outside": "outside what the models know: {said}",
        "outsideMore": "outside what the models know: {said} (and {more} more)",
        "notClosed": "its {key} is {value}; the models know only neutral closed shells",
        "doubt": "its {key} is {value}; the models know only neutral closed shells",
        "withoutValue": "it says {key} without a value: write charge=… and multiplicity=… if it has any",
        "twoNumbers": "its comment is {value}: write charge=… and multiplicity=… if that is what it means",
        "noAtoms": "there are no atoms in it: a line for each holds element and three coordinates, in Å",
        "fewer": "it says {said} atoms and has {count}",
        "more": "line {line}: there is more than the {said} atoms; enter one molecule at a time",
        "badLine": "line {line}: an element and three coordinates are expected",
        "noElement": "line {line}: there is no element {symbol}",
        "noSmiles": "there is no SMILES",
        "space": "its SMILES ends at the first space: leave out what stands after it",
        "foreignSign": "no SMILES holds {sign}",
        "noStructure": "OpenChemLib reads no structure from this SMILES",
        "several": "it is several molecules: predict each on its own",
        "charged": "its charge is {charge}; the models know only neutral molecules",
        "radical": "it is a radical, or an atom of it has an unusual valence; the models know only closed shells",
        "isotope": "it holds {symbol}; the models know only the usual isotopes",
        "tooMany": "it has {count} atoms other than hydrogen, too many for the page to find a geometry (at most "
        "{most}): give one as XYZ",
        "noGeometry": "OpenChemLib finds no geometry for it: give one as XYZ",
        "withoutField": "MMFF94 does not know all its atoms: the geometry is OpenChemLib’s as it was made",
    }
)
"""Refusals and warnings: where `analysis.predict` has the same, in its words."""
MOLECULE = messages(
    {
        "smiles": "SMILES",
        "predict": "Predict",
        "examples": "For example:",
        "ethanol": "ethanol",
        "benzene": "benzene",
        "glycine": "glycine",
        "phenylalanine": "phenylalanine",
        "draw": "Draw it",
        "give": "Give a geometry",
        "xyz": "XYZ, in Å: a line per atom, element and coordinates; with or without the number of atoms and a comment",
        "file": "Or a file",
        "kind": "Where the geometry comes from",
        "unknown": "unknown",
        "dft": "B3LYP/6-31G(2df,p), as QM9’s",
        "xtb": "GFN2-xTB",
        "mmff": "force field (MMFF94)",
        "predictGeometry": "Predict this geometry",
        "working": "Computing …",
        "atomisation": "Energy of atomisation at 0 K",
        "energy": "U0",
        "interval": "Interval of U0",
        "between": "{low} to {high} eV, for {level}% of molecules like QM9’s",
        "noInterval": "none: no training molecule is like it, nobody knows how far it is missed, and it may be "
        "nonsense",
        "askOutside": "Give a number all the same",
        "spreadName": "Spread of the networks",
        "refusal": "Refused: {said}",
        "warning": "Warning: {said}",
        "conformer": "The geometry is OpenChemLib’s, relaxed with MMFF94, not with DFT as QM9’s are: with such "
        "geometries, made by RDKit, the error for molecules like QM9’s is {mae} eV on average.",
        "view": "Ball-and-stick model of {formula}; the arrow keys turn it",
        "shares": "What each atom adds",
        "sharesNote": "The networks write the energy as a sum over atoms. Only the sum was learnt and can be "
        "measured; how it is divided is no observable, and each network divides it in its own way.",
        "sharesCaption": "Share of each atom in the energy of atomisation",
        "atom": "Atom",
        "share": "Share (eV)",
        "networks": "± between networks (eV)",
    }
)
WEIGHTS = messages(
    {
        "rate": "The exponent r:",
        "size": "The weight by size",
        "frequency": "The weight by size and frequency",
        "sizePicture": "The weight by size, by number of atoms, at the slider’s exponent; the numbers stand in the "
        "table below.",
        "frequencyPicture": "The weight by size and frequency, by number of atoms, at the slider’s exponent; the "
        "numbers stand in the table below.",
        "atoms": "Number of atoms",
        "weight": "Weight v",
        "table": "The numbers behind the curves",
        "undefined": "undefined",
        "wrong": "Sizes where it is undefined (crosses): {undefined}; where it is not positive (orange): {negative}.",
        "right": "Defined and positive at every size.",
    }
)
CAPS = messages(
    {
        "cap": "The most molecules that each size may keep:",
        "tried": "Trained with:",
        "picture": "Training molecules by number of atoms, what the slider’s cap leaves before all of them; the "
        "numbers stand in the table below.",
        "atoms": "Number of atoms",
        "molecules": "Molecules",
        "left": "left by the cap",
        "whole": "the whole training part",
        "told": "{left} of {all} molecules are left ({percent}%), of {mean} atoms on average in place of {before}; "
        "{sizes} of {of} sizes are trimmed. In the same epochs, the updates are {percent}% as many.",
        "table": "The numbers behind the bars",
    }
)
TRIALS = {
    **hyperparameters.SERIES,
    **messages(
        {
            "tolerance": "How far above the best error the rule may go:",
            "percent": "{percent}%",
            "axis": "Across",
            "time": "Time (min)",
            "mse": "Validation MSE (eV²)",
            "picture": "Validation error of each trial, with those within the slider’s tolerance marked; the arrow "
            "keys lead from one to the next, and the sentence below says what it was.",
            "hint": "Point at a trial, or press the arrow keys in the chart.",
            "trial": "{values}; {minutes} min, {mse} eV² (run {run})",
            "taken": "The rule takes the quickest of the {some} within it, of {all}: {trial}.",
            "takes": "what the rule takes",
            "within": "within the tolerance",
            "rest": "the other trials",
            "front": "Pareto front",
            "table": "What the rule takes at other tolerances",
            "others": "The rule’s choice by tolerance",
            "tolerated": "Tolerance",
        }
    ),
    **{hyperparameters.UNITS.get(name, name): message for name, message in hyperparameters.NAMES.items()},
}
EPOCHS = messages(
    {
        "stop": "Stop after epoch:",
        "picture": "Validation error by epoch, a curve per run; the arrow keys lead from one run to the next, and the "
        "sentence below says which it is. The numbers at the slider’s epoch stand in the table below.",
        "hint": "Point at a curve where the line crosses it, or press the arrow keys in the chart.",
        "epoch": "Epoch",
        "mse": "Validation MSE (eV²)",
        "run": "{series}, seed {seed}: {mse} eV² after epoch {epoch} (run {run})",
        "reached": "Validation MSE after epoch {epoch} (eV²)",
        "series": "Runs",
        "runs": "Number",
        "mean": "Mean",
        "lowest": "Lowest",
        "highest": "Highest",
    }
)
BUDGET = messages(
    {
        "minutes": "Minutes to spend:",
        "measure": "Error",
        "mae": "MAE (meV)",
        "mse": "MSE (eV²)",
        "time": "Time (min)",
        "picture": "Error against minutes of training, a point per run of Beyond, both scales logarithmic; the arrow "
        "keys lead from one point to the next, and the sentence below says what it is.",
        "hint": "Point at a run, or press the arrow keys in the chart.",
        "ours": "{epochs} epochs, seed {seed}: {error} in {minutes} min on two cores (run {run})",
        "theirs": "{series}: {error} in some {minutes} min on a GPU",
        "reached": "In {minutes} minutes: {epochs} epochs. {measure}: {error}, the mean of {seeds} seeds, from {low} "
        "to {high}.",
        "once": "In {minutes} minutes: {epochs} epochs. {measure}: {error}, with one seed alone.",
        "nothing": "In {minutes} minutes no training was done.",
        "beyond": "Beyond, on two cores",
        "timed": "on a GPU",
        "untimed": "published, of unknown time",
        "caption": "Means over the seeds of each length",
        "epochs": "Epochs",
        "seeds": "Seeds",
        "table": "The numbers behind the points",
    }
)
TRAJECTORY = messages(
    {
        "play": "Play",
        "pause": "Pause",
        "time": "Time:",
        "view": "Ball-and-stick model of {formula}; the arrow keys turn it",
        "potential": "Potential energy, above that at rest",
        "kinetic": "Kinetic energy",
        "total": "Their sum",
        "bond": "The bond that is stretched most",
        "stretched": "{bond}, {length} Å: {percent}% of its length at rest",
    }
)
WITHOUT_SCRIPTS = messages({"here": "With JavaScript, there is something interactive here."})

PARTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "slider": {**_MODELS, **SLIDER},
        "explorer": {**_MODELS, **EXPLORER},
        "molecule": {**SAID, **MOLECULE},
        "weights": WEIGHTS,
        "caps": CAPS,
        "trials": TRIALS,
        "epochs": EPOCHS,
        "budget": BUDGET,
        "trajectory": TRAJECTORY,
    }
)
"""The words of each part."""
