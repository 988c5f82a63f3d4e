"""A molecule tried on networks that have learnt forces, as notebook 13 does it.

Functions take the tables of `analysis.predict.simulation.Simulation`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.figures.words import mark, messages, say

_STAGES = messages({"langevin": "with a thermostat", "constant energy": "at constant energy"})
_LOOKS = {"langevin": style.ORANGE, "constant energy": style.BLUE}
_YES = messages({True: "yes", False: "no", None: "can’t be told"})


def about(found: Mapping[str, Any], *, lang: str) -> style.WordTable:
    """The molecule, and whether it came to rest: `Simulation.about`."""
    rows = {
        say("Formula", lang): found["formula"],
        say("Number of atoms", lang): style.number(found["atoms"], lang),
        say("Is one of the training molecules", lang): say(_YES[found["learnt_from"]], lang),
        say("Is like the training molecules", lang): say(_YES[found["like_them"]], lang),
        say("Came to rest", lang): say(_YES[found["at_rest"]], lang),
        say("Steps of the relaxation", lang): style.number(found["steps"], lang),
        say("Zero-point energy (eV)", lang): style.number(found["zero_point"], lang, 3),
        say("Imaginary frequencies", lang): style.number(found["imaginary"], lang),
    }
    return style.WordTable({say("Value", lang): rows}).rename_axis(index=say("Molecule", lang))


def frequencies(found: pd.DataFrame, *, lang: str) -> pd.DataFrame:
    """A row per vibration, beside QM9's where it has one: `Simulation.frequencies`."""
    columns = {say("Network (cm⁻¹)", lang): [style.number(wave, lang) for wave in found["network"]]}
    if found["qm9"].notna().any():
        columns[say("QM9 (cm⁻¹)", lang)] = [style.number(wave, lang) for wave in found["qm9"]]
    columns[say("Kinetic energy in hydrogen", lang)] = [style.percent(share, lang) for share in found["hydrogen"]]
    index = [style.number(place, lang) for place in range(1, len(found) + 1)]
    return pd.DataFrame(columns, index=index).rename_axis(columns=say("Vibration", lang))


def health(found: pd.DataFrame, *, lang: str) -> pd.DataFrame:
    """A row per simulation, and whether it can be believed: `Simulation.health`."""
    rows = {
        say(_STAGES[stage], lang): {
            say("Simulated (ps)", lang): style.number(row["ps"], lang, 2),
            say("Mean temperature (K)", lang): style.number(row["temperature"], lang),
            say("Drift (meV per atom and ps)", lang): _with_error(row["drift"], row["drift_error"], lang),
            say("Fluctuation (meV per atom)", lang): style.number(row["rms"], lang, 2),
            say("Bond that changed most", lang): row["bond"] or "–",
            say("Times its length", lang): style.number(row["bond_change"], lang, 2),
            say("Largest spread of forces (eV/Å)", lang): style.number(row["spread"], lang, 2),
            say("Stays whole", lang): say(_YES[bool(row["whole"])], lang),
        }
        for stage, row in found.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Simulation", lang))


def course(found: pd.DataFrame, *, lang: str) -> style.BookFigure:
    """Total energy and temperature against time, a colour per simulation: `Simulation.course`."""
    alt = mark(
        "Two line charts against the time of a simulation, above the total energy per atom about its mean and below "
        "the temperature: first with a thermostat, where both fluctuate, and then at constant energy, where the energy "
        "should stay as it is."
    )
    panels = {
        "total_energy_meV_per_atom": mark("Total energy (meV/atom)"),
        "temperature_K": mark("Temperature (K)"),
    }
    with style.figure(say(alt, lang), found, height=4.6, legend=2) as figure:
        for axes, (column, name) in zip(figure.subplots(2, sharex=True), panels.items(), strict=True):
            for stage, of_stage in found.groupby("stage", sort=False):
                look = {"color": _LOOKS[stage], "linewidth": 0.8, "label": say(_STAGES[stage], lang)}
                axes.plot(of_stage["time_ps"], of_stage[column], **look)
            axes.set_ylabel(say(name, lang))
            axes.yaxis.set_major_formatter(style.number_axis(lang))
        axes.set_xlabel(say("Time (ps)", lang))
        axes.xaxis.set_major_formatter(style.number_axis(lang, 0 if found["time_ps"].max() >= 5 else 2))
    return figure


def spectrum(found: pd.DataFrame, vibrations: pd.DataFrame, *, lang: str) -> style.BookFigure:
    """What the molecule moves with at constant energy, beside its harmonic frequencies, real ones.

    They are `Simulation.spectrum`, which may be empty, and `Simulation.frequencies`.
    """
    real = vibrations.loc[vibrations["network"] > 0, "network"]
    end = 1.1 * max(real.max(), 1000.0) if len(real) else 4000.0
    shown = found[found["per_cm"] <= end]
    height = shown["density"].max() if len(shown) else 1.0
    alt = mark(
        "Vibrational density of states against the wavenumber, a line with peaks, above a row of strokes at the "
        "harmonic frequencies of the molecule at rest, near which the peaks lie."
    )
    with style.figure(say(alt, lang), shown, height=3.6, legend=2) as figure:
        axes = figure.subplots()
        axes.plot(shown["per_cm"], shown["density"] / height, color=style.BLUE, label=say("simulated", lang))
        bottom = np.full(len(real), -0.02)
        axes.vlines(real, bottom - 0.08, bottom, color=style.VERMILION, label=say("harmonic", lang))
        axes.set(xlabel=say("Wavenumber (cm⁻¹)", lang), ylabel=say("Density of states", lang), xlim=(0, end), yticks=[])
        axes.xaxis.set_major_formatter(style.number_axis(lang))
    return figure


def _with_error(value: float, error: float, lang: str) -> str:
    """A value with its standard error; the value alone without one."""
    shown = style.number(value, lang, 3)
    return f"{shown} ± {style.number(error, lang, 3)}" if np.isfinite(error) else shown
