"""Networks that have learnt forces, in use: vibrations, survival, a control, a torsion, a trajectory, speed, demands.

Functions take the records of `analysis.evaluation.dynamics`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase.data import covalent_radii
from matplotlib.ticker import FuncFormatter

from analysis.data import statistics, thesis
from analysis.data.as_text import packed
from analysis.data.molecules import BOND
from analysis.evaluation import accuracy, force_claims
from analysis.evaluation.dynamics import (
    LENGTH_STEP,
    MEAN,
    QM9,
    XTB,
    Contestant,
    Control,
    Fraction,
    Frequencies,
    Simulated,
    Speed,
    Survival,
    Torsion,
    Watched,
)
from analysis.evaluation.verdicts.intervals import Estimate
from analysis.figures import baseline, forces, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

FREQUENCIES, ENERGY, DRIFT, STOCK = 40.0, 10.0, 0.1, 15.0
"""What was demanded: cm⁻¹ from QM9's, meV at the minimum, meV per atom and ps, times as fast as SchNetPack's own."""
_THIN = {"color": style.BLACK, "linewidth": 0.8}
_METHODS = messages({MEAN: "network", XTB: "GFN2-xTB"})
_LOOKS = {MEAN: (style.BLUE, "o"), XTB: (style.ORANGE, "s")}
_HARMONIC = {**_LOOKS, QM9: (style.BLACK, "")}
_ENERGIES = messages({"potential": "potential energy", "kinetic": "kinetic energy", "total": "their sum"})
_NEAR = 150.0
"""cm⁻¹: the band of a vibration reaches so far from its harmonic frequency."""
_ARMS = {
    "beyond": (mark("Beyond"), style.VERMILION, "-"),
    "energies alone": (mark("PaiNN, energies alone"), style.GREY, "--"),
    "painn": (mark("PaiNN, with forces"), style.BLUE, "-"),
}
_SPEEDS = messages(
    {
        "network": "Network (ns/day)",
        "batch": "{copies} at once (ns/day)",
        "xtb": "GFN2-xTB (ns/day)",
        "schnetpack": "SchNetPack (ns/day)",
    }
)
_MEET = messages({True: "yes", False: "no", None: "undecided"})
Interval = tuple[float, float, float]


# ---- vibrations ------------------------------------------------------------------------------------------------------


def frequencies(record: Frequencies, *, lang: str) -> style.BookFigure:
    """Each vibration's frequency less GFN2-xTB's, which the networks learnt from, and less QM9's, GFN2-xTB's beside."""
    rows = [
        {"molecule": one.index, QM9: qm9, XTB: xtb, MEAN: mean}
        for one in record.molecules
        if len({len(one.frequencies(of)) for of in (QM9, XTB, MEAN)}) == 1
        for qm9, xtb, mean in zip(*(one.frequencies(of) for of in (QM9, XTB, MEAN)), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["molecule", QM9, XTB, MEAN])
    data = table.rename(columns={QM9: "qm9_per_cm", XTB: "xtb_per_cm", MEAN: "network_per_cm"}).assign(run=record.ids)
    alt = mark(
        "Two scatter plots with a point per vibration against its frequency: above, how far the network lies from the "
        "method that it learnt from; below, how far both lie from the database’s own frequencies."
    )
    panels = ((XTB, (MEAN,), mark("less GFN2-xTB’s (cm⁻¹)")), (QM9, (XTB, MEAN), mark("less QM9’s (cm⁻¹)")))
    with style.figure(say(alt, lang), data, height=5.2, legend=2) as figure:
        for axes, (reference, methods, name) in zip(figure.subplots(2, sharex=True), panels, strict=True):
            axes.axhline(0, **_THIN)
            for method in methods:
                colour, marker = _LOOKS[method]
                look = {"color": colour, "markersize": 2, "markeredgewidth": 0, "label": say(_METHODS[method], lang)}
                axes.plot(table[reference], table[method] - table[reference], marker, **look)
            axes.set_ylabel(say(name, lang))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(style.number_axis(lang))
        axes.set_xlabel(say("Frequency of the reference (cm⁻¹)", lang))
    return figure


# ---- survival --------------------------------------------------------------------------------------------------------


def survival(record: Survival, *, lang: str) -> style.BookFigure:
    """The share of molecules that are whole, by time, with its interval at the end; and of large and small ones."""
    end = record.ps + record.nve_ps
    times = np.linspace(0, end, 601)
    alt = mark(
        "Share of the molecules that are whole against the time simulated, a falling line of steps for all, one for "
        "small and one for large ones, each with a bar for the interval of its end; a vertical line parts the time "
        "with a thermostat from that without."
    )
    with style.figure(say(alt, lang), _survivors(record), height=3.6, legend=1) as figure:
        axes = figure.subplots()
        for shift, (name, members, colour) in enumerate(_sides(record, lang)):
            whole = _only(record, members).whole_at(1000 * times)
            ends = Fraction.among([not one.stopped for one in members])
            axes.step(times, whole, where="post", color=colour, label=f"{name} ({style.number(len(members), lang)})")
            share = ends.count / max(1, ends.of)
            bars = [[max(0.0, share - ends.low)], [max(0.0, ends.high - share)]]
            axes.errorbar(end * (1.01 + 0.015 * shift), share, yerr=bars, color=colour, capsize=3)
        if record.nve_ps:
            axes.axvline(record.ps, color=style.BLACK, linewidth=0.8, linestyle=":")
        axes.set(xlabel=say("Time (ps)", lang), ylabel=say("Molecules still whole", lang), xlim=(0, 1.06 * end))
        axes.xaxis.set_major_formatter(style.number_axis(lang, 0 if end >= 5 else 2))
        axes.yaxis.set_major_formatter(style.percent_axis(lang))
    return figure


def survivors(record: Survival, *, lang: str) -> pd.DataFrame:
    """A row per group of molecules, by size and by element: how many came through, with an interval, and the drift.

    Groups are of those drawn at random, but that with fluorine, which holds all that have it.
    """
    groups = {name: members for name, members, _ in _sides(record, lang)}
    for element in statistics.ELEMENTS:
        among = record.molecules if element == "F" else record.at_random
        groups[say(baseline.ELEMENTS[element], lang)] = [one for one in among if element in one.elements]
    rows = {}
    for name, members in groups.items():
        found = Fraction.among([not one.stopped for one in members])
        drifts = [abs(one.drift) for one in members if one.drift is not None]
        rows[name] = {
            say("Simulated", lang): style.number(found.of, lang),
            say("Whole", lang): style.number(found.count, lang),
            say("Share (95% interval)", lang): _share(found, lang),
            say("Mean drift (meV per atom and ps)", lang): style.number(np.mean(drifts) if drifts else np.nan, lang, 3),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Molecules", lang))


def _sides(record: Survival, lang: str) -> list[tuple[str, list[Simulated], str]]:
    """All drawn at random, the small and the large ones: name, members and colour."""
    atoms, every = style.number(thesis.LARGE, lang), record.at_random
    return [
        (say("all molecules", lang), every, style.BLACK),
        (say("up to {atoms} atoms", lang, atoms=atoms), [m for m in every if m.n_atoms <= thesis.LARGE], style.SKY),
        (say("more than {atoms} atoms", lang, atoms=atoms), [m for m in every if m.n_atoms > thesis.LARGE], style.BLUE),
    ]


def _only(record: Survival, members: Sequence[Simulated]) -> Survival:
    return record.model_copy(update={"molecules": tuple(members)})


def _survivors(record: Survival) -> pd.DataFrame:
    rows = [
        {
            "molecule": one.index,
            "n_atoms": one.n_atoms,
            "elements": "".join(one.elements),
            "drawn": one.drawn,
            "stopped": one.stopped,
            "until_ps": one.until / 1000,
            "bond_change": one.bond_change,
            "drift_meV_per_atom_and_ps": one.drift,
        }
        for one in record.molecules
    ]
    return pd.DataFrame(rows).assign(run=record.ids)


def _share(found: Fraction, lang: str) -> str:
    ends = " – ".join(style.percent(end, lang) for end in (found.low, found.high))
    return f"{style.percent(found.count / found.of, lang)} ({ends})" if found.of else "–"


# ---- control and torsion ---------------------------------------------------------------------------------------------


def control(record: Control, *, lang: str) -> style.BookFigure:
    """To how many times its length the bond has come that changed most, by time: median and the middle four fifths.

    A molecule that is broken stays where a bond is broken.
    """
    times, rows = np.arange(0, record.length + record.every / 2, record.every), []
    for arm in _ARMS:
        for time, values in zip(times, _stretched(record, arm, len(times)).T, strict=True):
            low, median, high = np.quantile(values, (0.1, 0.5, 0.9))
            rows.append({"arm": arm, "time_fs": time, "median": median, "low": low, "high": high})
    data = pd.DataFrame(rows).assign(run=record.ids)
    alt = mark(
        "Largest change of a bond against time, for molecules let go at rest: a line and its band for each kind of "
        "network, and a dotted line where a bond counts as broken."
    )
    with style.figure(say(alt, lang), data, height=3.8, legend=1) as figure:
        axes = figure.subplots()
        for arm, (name, colour, line) in _ARMS.items():
            of_arm = data[data["arm"] == arm]
            axes.fill_between(of_arm["time_fs"], of_arm["low"], of_arm["high"], color=colour, alpha=0.25, linewidth=0)
            axes.plot(of_arm["time_fs"], of_arm["median"], line, color=colour, label=say(name, lang))
        axes.axhline(record.longest, linestyle=":", label=say("a bond is broken", lang), **_THIN)
        axes.set(xlabel=say("Time (fs)", lang), ylabel=say("Length of the bond, times its own", lang))
        axes.yaxis.set_major_formatter(style.number_axis(lang, 1))
    return figure


def _stretched(record: Control, arm: str, frames: int) -> np.ndarray:
    """By how much each molecule's worst bond is stretched or pressed at each frame, as a factor above 1: [M, T]."""
    found = np.full((len(record.of(arm)), frames), record.longest)
    for row, one in zip(found, record.of(arm), strict=True):
        row[: len(one.change)] = np.exp(np.abs(np.log(one.change)))
    return np.minimum(found, record.longest)


def torsion(record: Torsion, *, lang: str) -> style.BookFigure:
    """Butane's energy by the angle of its chain; the band reaches over the single networks."""
    networks = [name for name in record.energies if name not in (XTB, MEAN)]
    table = style.MEV * pd.DataFrame(record.energies, index=list(record.angles), dtype=float)
    data = table.rename_axis("angle_degrees").reset_index().melt("angle_degrees", None, "method", "energy_meV")
    alt = mark(
        "Energy of butane against the torsion of its chain, with a line for the network and one for the method that "
        "it learnt from."
    )
    with style.figure(say(alt, lang), data.assign(run=record.ids), height=3.6, legend=2) as figure:
        axes = figure.subplots()
        colour, marker = _LOOKS[MEAN]
        ends = table[networks].min(axis=1), table[networks].max(axis=1)
        axes.fill_between(table.index, *ends, color=colour, alpha=0.25, linewidth=0)
        for method, (colour, marker) in _LOOKS.items():
            look = {"color": colour, "marker": marker, "markersize": 4, "label": say(_METHODS[method], lang)}
            axes.plot(table.index, table[method], **look)
        axes.set(xlabel=say("Torsion (°)", lang), ylabel=say("Energy (meV)", lang), xticks=range(0, 181, 30))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(style.number_axis(lang))
    return figure


# ---- a trajectory ----------------------------------------------------------------------------------------------------


def spectrum(record: Watched, *, lang: str) -> style.BookFigure:
    """The densities of states of the network's trajectory, upwards, and of GFN2-xTB's, downwards; below, harmonic ones.

    These are at each method's own minimum, and QM9's.
    """
    waves, rows = np.array(record.wavenumbers), []
    for method in _LOOKS:
        about = {"kind": "density", "method": method, "wavenumber_per_cm": waves}
        rows.append(pd.DataFrame(about | {"kinetic_energy_share_per_cm": record.moving[method].density}))
    for method in _HARMONIC:
        about = {"kind": "harmonic", "method": method, "wavenumber_per_cm": record.molecule.frequencies(method)}
        rows.append(pd.DataFrame(about))
    data = pd.concat([each for each in rows if len(each)], ignore_index=True)
    alt = mark(
        "Spectra of the same molecule moved by the network, upwards, and by the method that it learnt from, downwards: "
        "narrow bands against the wavenumber; below them three rows of ticks at the harmonic frequencies, of both and "
        "of the database."
    )
    with style.figure(say(alt, lang), data.assign(run=record.ids), height=4.6, legend=2) as figure:
        above, below = figure.subplots(2, sharex=True, height_ratios=(4, 1))
        for sign, (method, (colour, _)) in zip((1, -1), _LOOKS.items(), strict=True):
            share = sign * 1e4 * np.array(record.moving[method].density)
            above.fill_between(waves, share, color=colour, linewidth=0.4, label=say(_METHODS[method], lang))
        above.axhline(0, **_THIN)
        above.set_ylabel(say("Kinetic energy (% per 100 cm⁻¹)", lang))
        above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(abs(value), lang)))
        for row, (method, (colour, _)) in enumerate(_HARMONIC.items()):
            below.vlines(record.molecule.frequencies(method), row - 0.35, row + 0.35, color=colour, linewidth=1.2)
        names = [say(_METHODS[method], lang) if method in _METHODS else "QM9" for method in _HARMONIC]
        below.set(yticks=range(3), yticklabels=names, ylim=(2.6, -0.6), xlim=(0, waves[0] + waves[-1]))
        below.set_xlabel(say("Wavenumber (cm⁻¹)", lang))
        below.xaxis.set_major_formatter(style.number_axis(lang))
    return figure


def trajectory(record: Watched, *, lang: str) -> style.BookFigure:
    """The first frames at constant energy: kinetic and potential energy, and their sum."""
    energies = {"potential": np.array(record.potential), "kinetic": np.array(record.kinetic)}
    energies["total"] = energies["potential"] + energies["kinetic"]
    data = pd.DataFrame({"time_fs": record.times} | {f"{name}_eV": each for name, each in energies.items()})
    alt = mark(
        "Energies against the time of a molecule’s motion: the kinetic and the potential energy mirror each other, and "
        "their sum is a level line."
    )
    with style.figure(say(alt, lang), data.assign(run=record.ids), height=3.2, legend=3) as figure:
        axes = figure.subplots()
        looks = zip(energies.items(), (style.BLUE, style.ORANGE, style.BLACK), ("-", "--", "-"), strict=True)
        for (name, each), colour, line in looks:
            axes.plot(record.times, each, line, color=colour, linewidth=1.2, label=say(_ENERGIES[name], lang))
        axes.set(xlabel=say("Time (fs)", lang), ylabel=say("Energy (eV)", lang), xlim=(0, record.times[-1]))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(style.number_axis(lang))
        axes.yaxis.set_major_formatter(style.number_axis(lang, 1))
    return figure


def to_watch(record: Watched) -> dict[str, Any]:
    """What the book's script moves: the molecule at rest and then its frames, with their energies, eV.

    `arrays` are packed as `as_text.packed` does it: `numbers`; `positions` [1 + T, A, 3], the minimum's first, in
    `length_step`; `potential`, above the minimum, and `kinetic` [T]. Frames are `every` fs apart. `radii` (Å) and
    `bond` are what bonds are drawn by.
    """
    arrays = {
        "numbers": np.array(record.numbers, np.uint8),
        "positions": np.round(record.positions / LENGTH_STEP).astype(np.int16),
        "potential": np.array(record.potential, np.float32),
        "kinetic": np.array(record.kinetic, np.float32),
    }
    radii = {z: float(covalent_radii[z]) for z in sorted(set(record.numbers))}
    return {**packed(arrays), "length_step": LENGTH_STEP, "every": record.every, "radii": radii, "bond": BOND}


def watched_facts(record: Watched, *, lang: str) -> dict[str, str]:
    """The numbers of the prose about the trajectory, the same keys in both languages.

    Frequencies are in cm⁻¹, differences of harmonic ones means over the vibrations, and `…_band` means over the density
    about the highest frequency of each method; drifts are in meV per atom and ps, times in ps but `watched_fs`.
    """
    one, kelvin = record.molecule, record.moving[MEAN].temperature
    found = {
        "spectrum_molecule": one.smiles,
        "spectrum_atoms": style.number(one.n_atoms, lang),
        "spectrum_vibrations": style.number(len(one.frequencies(MEAN)), lang),
        "watched_ps": style.plain_number(record.ps, lang),
        "watched_thermal_ps": style.plain_number(record.thermal_ps, lang),
        "watched_fs": style.plain_number(float(record.times[-1]), lang),
        "watched_kelvin": style.number(kelvin, lang),
        "watched_drift": style.number(record.moving[MEAN].drift, lang, 3),
        "watched_drift_xtb": style.number(record.moving[XTB].drift, lang, 3),
    }
    for name, pair in (("level", (MEAN, XTB)), ("qm9", (MEAN, QM9)), ("xtb_qm9", (XTB, QM9))):
        off = _apart(*(one.frequencies(of) for of in pair))
        found[f"spectrum_waves_{name}"] = style.number(float(off.mean()), lang, 1)
        found[f"spectrum_waves_{name}_most"] = style.number(float(off.max()), lang)
    bands = {name: _highest_band(record, of) for name, of in (("network", MEAN), ("xtb", XTB))}
    found |= {f"spectrum_band_{name}": style.number(band, lang) for name, band in bands.items()}
    found["spectrum_band_off"] = style.number(abs(bands["network"] - bands["xtb"]), lang)
    return found


def _apart(waves: Sequence[float], others: Sequence[float]) -> np.ndarray:
    """By how much frequencies differ, in ascending order; NaN if there are none, or not as many."""
    return np.abs(np.subtract(waves, others)) if len(waves) == len(others) > 0 else np.array([np.nan])


def _highest_band(record: Watched, of: str) -> float:
    """The mean wavenumber of what the density has about a method's highest harmonic frequency."""
    waves, density = np.array(record.wavenumbers), np.array(record.moving[of].density)
    highest = max(record.molecule.frequencies(of), default=np.nan)
    near = np.abs(waves - highest) < _NEAR
    return float(np.average(waves[near], weights=density[near])) if density[near].sum() > 0 else np.nan


# ---- speed and demands -----------------------------------------------------------------------------------------------


def speed(record: Speed, *, lang: str) -> pd.DataFrame:
    """A row per molecule: nanoseconds per day of each contestant (median over repeats), and ratios with their range."""
    copies = style.number(max(one.copies for one in record.times), lang)
    rows = {}
    for molecule, n_atoms in {one.molecule: one.n_atoms for one in record.times}.items():
        row = {say("Atoms", lang): style.number(n_atoms, lang)}
        for contestant, name in _SPEEDS.items():
            found = float(np.median(record.ns_per_day(molecule, contestant)))
            row[say(name, lang, copies=copies)] = style.number(found, lang, 1 if found < 100 else 0)
        for other, name in (("xtb", mark("Network / GFN2-xTB")), ("schnetpack", mark("Network / SchNetPack"))):
            row[say(name, lang)] = _with_ends(_ratio(record, molecule, other), lang, 1)
        rows[molecule] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=say("Molecule", lang))


def _ratio(record: Speed, molecule: str, other: Contestant) -> Interval:
    """How many times as fast as another the network is: the median over repeats, the lowest and the highest."""
    found = record.ns_per_day(molecule, "network") / record.ns_per_day(molecule, other)
    return float(np.median(found)), float(found.min()), float(found.max())


def demands(
    records: Arms[Record], frequencies: Frequencies, survival: Survival, speed: Speed, *, lang: str
) -> style.WordTable:
    """What was demanded, what was measured with its interval, and whether it holds.

    It does if the whole interval is on the right side, and it does not if it is on the wrong one. Intervals are of 95 %
    over seeds and molecules, of the drift over molecules; of speeds they are the range over repeats, for the molecule
    on which the network is the slowest next to the other.
    """
    of_forces = force_claims.forces_bar(records)
    found = [forces.bar() * value for value in (of_forces.effect, *of_forces.interval)]
    at_minimum = style.MEV * np.abs(_of_networks(frequencies, lambda of: frequencies.at_rest(of, "energy_error")))
    waves = _of_networks(frequencies, lambda of: frequencies.differences(of, QM9))
    per_ps = np.array([abs(one.drift) for one in survival.at_random if one.drift is not None])
    slowest = {
        other: min((_ratio(speed, molecule, other) for molecule in _molecules(speed)), key=lambda ratio: ratio[0])
        for other in ("xtb", "schnetpack")
    }
    rows = (
        (mark("Error of forces: {limit} meV/Å or less, beside GFN2-xTB"), found, forces.bar(), 1, True),
        (mark("Frequencies: {limit} cm⁻¹ or less from QM9’s"), accuracy.estimate(waves), FREQUENCIES, 1, True),
        (
            mark("Energy at the minimum: {limit} meV or less, beside GFN2-xTB"),
            accuracy.estimate(at_minimum),
            ENERGY,
            1,
            True,
        ),
        (mark("Drift: {limit} meV per atom and ps or less"), _mean(per_ps), DRIFT, 3, True),
        (mark("Dynamics faster than with GFN2-xTB at every size"), slowest["xtb"], 1.0, 1, False),
        (
            mark("Dynamics at least {limit} times as fast as with SchNetPack at every size"),
            slowest["schnetpack"],
            STOCK,
            1,
            False,
        ),
    )
    demanded, measured, met = (say(heading, lang) for heading in (mark("Demand"), mark("Measured"), mark("Met")))
    table = {
        say(demand, lang, limit=style.plain_number(limit, lang)): {
            measured: _with_ends(interval, lang, decimals),
            met: say(_MEET[_meets(interval, limit, below=below)], lang),
        }
        for demand, interval, limit, decimals, below in rows
    }
    return style.WordTable.from_dict(table, orient="index").rename_axis(index=demanded)


def _meets(interval: Sequence[float], limit: float, *, below: bool) -> bool | None:
    _, low, high = interval
    if (high <= limit) if below else (low >= limit):
        return True
    return False if ((low > limit) if below else (high < limit)) else None


def _of_networks(record: Frequencies, numbers: Callable[[str], np.ndarray]) -> np.ndarray:
    """Numbers of each network, for the molecules for which all have one: [S, m]."""
    found = np.array([numbers(run) for of_arm in record.models.values() for run in of_arm])
    return found[:, np.isfinite(found).all(axis=0)]


def _mean(values: np.ndarray) -> Interval:
    """The mean and Student's interval, over molecules."""
    if len(values) < 2:
        return float(values.mean()) if len(values) else np.nan, -np.inf, np.inf
    one = Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), len(values) - 1)
    return one.value, *one.interval()


def _with_ends(interval: Sequence[float], lang: str, decimals: int) -> str:
    value, low, high = (style.number(one, lang, decimals) for one in interval)
    return f"{value} ({low} – {high})"


def _molecules(record: Speed) -> list[str]:
    return list(dict.fromkeys(one.molecule for one in record.times))


# ---- facts -----------------------------------------------------------------------------------------------------------


def facts(
    frequencies: Frequencies, survival: Survival, control: Control, speed: Speed, torsion: Torsion, *, lang: str
) -> dict[str, str]:
    """The numbers of the prose, the same keys in both languages; what is of several molecules is a mean over them.

    Frequencies in cm⁻¹, forces in eV/Å, displacements in Å, energies in meV, drift in meV per atom and ps, times in ps
    but those of the control, fs.
    """
    return dict(
        [
            *_of_vibrations(frequencies, lang),
            *_of_survival(survival, lang),
            *_of_control(control, lang),
            *_of_speed(speed, lang),
            *_of_torsion(torsion, lang),
        ]
    )


def _of_vibrations(record: Frequencies, lang: str) -> Iterator[tuple[str, str]]:
    yield "vibrating", style.number(len(record.molecules), lang)
    for name, pair in (("level", (MEAN, XTB)), ("qm9", (MEAN, QM9)), ("xtb_qm9", (XTB, QM9))):
        yield f"waves_{name}", style.number(float(np.nanmean(record.differences(*pair))), lang, 1)
    for name, of in (("network", MEAN), ("xtb", XTB)):
        imaginary = record.imaginary(of)
        yield f"imaginary_{name}", style.number(sum(imaginary), lang)
        yield f"imaginary_molecules_{name}", style.number(sum(map(bool, imaginary)), lang)
        yield f"force_{name}", style.number(float(record.at_rest(of, "force").mean()), lang, 2)
        yield f"moved_{name}", style.number(float(np.nanmean(record.at_rest(of, "displacement"))), lang, 3)
        yield f"troubled_{name}", style.number(sum(bool(one.rest[of].trouble) for one in record.molecules), lang)
    error = style.MEV * np.abs(record.at_rest(MEAN, "energy_error"))
    yield "energy_error", style.number(float(np.nanmean(error)), lang, 1)
    yield "above", style.number(style.MEV * float(np.nanmean(record.at_rest(MEAN, "above"))), lang, 1)


def _of_survival(record: Survival, lang: str) -> Iterator[tuple[str, str]]:
    every = record.at_random
    found = Fraction.among([not one.stopped for one in every])
    yield "ps", style.plain_number(record.ps, lang)
    yield "nve_ps", style.plain_number(record.nve_ps, lang)
    yield "kelvin", style.plain_number(record.temperature, lang)
    yield "simulated", style.number(found.of, lang)
    yield "whole", style.number(found.count, lang)
    yield "whole_share", _share(found, lang)
    for why in ("bond", "heat", "spread"):
        yield f"stopped_{why}", style.number(sum(one.stopped == why for one in every), lang)
    drifts = [abs(one.drift) for one in every if one.drift is not None]
    yield "drift", style.number(float(np.mean(drifts)) if drifts else np.nan, lang, 3)
    yield "drift_largest", style.number(max(drifts, default=np.nan), lang, 3)


def _of_control(record: Control, lang: str) -> Iterator[tuple[str, str]]:
    for arm in _ARMS:
        of_arm, name = record.of(arm), arm.partition(" ")[0]
        broken = [one.broken for one in of_arm if one.broken is not None]
        yield f"released_{name}", style.number(len(of_arm), lang)
        yield f"broken_{name}", style.number(len(broken), lang)
        yield f"broken_after_{name}", style.number(float(np.median(broken)) if broken else np.nan, lang)
        changes = [one.energy_change for one in of_arm]
        yield f"conserved_{name}", style.number(style.MEV * float(np.median(changes)), lang, 1)
    yield "released_fs", style.plain_number(record.length, lang)


def _of_speed(record: Speed, lang: str) -> Iterator[tuple[str, str]]:
    molecules = _molecules(record)
    first = molecules[0]
    yield "processor", record.processor
    yield "copies", style.number(max(one.copies for one in record.times), lang)
    for contestant in _SPEEDS:
        found = float(np.median(record.ns_per_day(first, contestant)))
        yield f"ns_{contestant}", style.number(found, lang, 1 if found < 100 else 0)
    for other in ("xtb", "schnetpack"):
        ratios = [_ratio(record, molecule, other)[0] for molecule in molecules]
        yield f"times_{other}_least", style.number(min(ratios), lang, 1)
        yield f"times_{other}_most", style.number(max(ratios), lang, 1)
    stock = [record.ns_per_day(one, "schnetpack") / record.ns_per_day(one, "xtb") for one in molecules]
    yield "stock_slower_than_xtb", style.number(sum(float(np.median(one)) < 1 for one in stock), lang)
    yield "timed", style.number(len(molecules), lang)


def _of_torsion(record: Torsion, lang: str) -> Iterator[tuple[str, str]]:
    network, xtb = (style.MEV * np.array(record.energies[name], dtype=float) for name in (MEAN, XTB))
    yield "torsion_barrier_network", style.number(float(np.nanmax(network)), lang)
    yield "torsion_barrier_xtb", style.number(float(np.nanmax(xtb)), lang)
    yield "torsion_off", style.number(float(np.nanmax(np.abs(network - xtb))), lang, 1)
