"""The records that a claim is about, and the curves of their errors: by group, configuration and seed."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.data import statistics
from analysis.data.molecules import Molecules
from analysis.evaluation.verdicts.intervals import Estimate, over_seeds, resampled_means
from analysis.runs import protocols
from analysis.runs.records import Record, held_out_errors

PROTOCOLS = ("held_out", "as_reported")
LEAST_MOLECULES = 10
"""Sizes with fewer held-out molecules are left out: resampling them says too little of their error."""


@dataclass(frozen=True)
class Curves:
    """Logarithms of mean squared errors: `logs` [G, C, S] by group, configuration and seed.

    `draws` [B, G, C, S] are the same with resampled molecules, None where there is nothing to resample; `fewest` is how
    many molecules the smallest group has, `first` one of the records.
    """

    groups: list
    logs: np.ndarray
    draws: np.ndarray | None
    molecules: int
    fewest: int
    first: Record

    @property
    def counts(self) -> tuple[int, int]:
        """How many seeds and molecules."""
        return self.logs.shape[-1], self.molecules


def curves_of(
    arms: Sequence[Sequence[Record]],
    kind: str,
    groups: Collection,
    protocol: str,
    resamples: int,
    *,
    molecules: Molecules | None = None,
) -> Curves:
    """The curves of several arms over those groups that have enough molecules, for the seeds that all arms have.

    `kind` is "all", "size" or "element"; the last needs the database. Raises ValueError if the protocol is unknown, if
    no group has enough molecules, if the arms have no seed in common or hold out different molecules, or if one of
    these is not in the database.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    pairs = paired(arms)
    columns = [[of_seed[arm] for of_seed in pairs] for arm in range(len(arms))]
    if protocol == "as_reported":
        return _as_reported(columns, kind, list(groups))
    errors = held_out_errors([record for arm in columns for record in arm])
    squared = errors.T.reshape(-1, len(arms), len(pairs)) ** 2  # [M, C, S]
    inside = _inside(columns[0][0], kind, list(groups), molecules)
    members = {group: np.flatnonzero(members) for group, members in inside.items()}
    members = {group: positions for group, positions in members.items() if len(positions) >= LEAST_MOLECULES}
    _check_some(list(members), kind, groups)
    return Curves(
        groups=list(members),
        logs=np.log(np.array([squared[positions].mean(axis=0) for positions in members.values()])),
        draws=np.log(resampled_means(squared, list(members.values()), resamples)),
        molecules=len(np.unique(np.concatenate(list(members.values())))),
        fewest=min(map(len, members.values())),
        first=columns[0][0],
    )


def _check_some(found: list, kind: str, groups: Collection) -> None:
    if not found:
        raise ValueError(f"no {kind} of {list(groups)} has enough molecules")


def _as_reported(columns: list[list[Record]], kind: str, groups: list) -> Curves:
    tables = [[protocols.mse(record.groups, kind)["as_reported"].reindex(groups) for record in arm] for arm in columns]
    logs = np.moveaxis(np.log(np.array(tables, dtype=float)), -1, 0)  # [G, C, S]
    known = np.isfinite(logs).all(axis=(1, 2))
    kept = [group for group, is_known in zip(groups, known, strict=True) if is_known]
    _check_some(kept, kind, groups)
    first = columns[0][0]
    # The sets of elements overlap
    counted = frequency_of(first, "all").loc[["all"]] if kind == "element" else frequency_of(first, kind).loc[kept]
    return Curves(groups=kept, logs=logs[known], draws=None, molecules=int(counted.sum()), fewest=0, first=first)


def _inside(record: Record, kind: str, groups: list, molecules: Molecules | None) -> dict[object, np.ndarray]:
    """Which of a record's held-out molecules are in each group."""
    found = record.errors
    if kind == "all":
        return {"all": np.ones(len(found), dtype=bool)}
    if kind == "size":
        return {size: found["n_atoms"].to_numpy() == size for size in groups}
    positions = pd.Index(molecules.index).get_indexer(found["index"])
    if (positions < 0).any():
        missing = found["index"].to_numpy()[positions < 0]
        raise ValueError(f"run {record.id} holds out molecule {missing[0]}, which is not in the database given")
    holds = molecules.element_counts()[positions] > 0
    return {element: holds[:, statistics.ELEMENTS.index(element)] for element in groups}


def estimates(curves: Curves, statistic: Callable[[np.ndarray], np.ndarray]) -> list[Estimate]:
    """One estimate per row of a statistic that takes logarithms [..., G, C, S] to [..., S] or [..., K, S]."""
    of_seeds = np.atleast_2d(statistic(curves.logs))
    over_molecules = np.zeros(len(of_seeds))
    if curves.draws is not None:
        over_molecules = np.atleast_1d(statistic(curves.draws).mean(axis=-1).var(axis=0, ddof=1))
    return [
        over_seeds(row, float(variance), curves.fewest - 1)
        for row, variance in zip(of_seeds, over_molecules, strict=True)
    ]


def log_ratios(logs: np.ndarray) -> np.ndarray:
    """The first configuration against each of the others: [..., G, C, S] to [..., G, C − 1, S]."""
    return logs[..., :1, :] - logs[..., 1:, :]


def paired(arms: Sequence[Sequence[Record]]) -> list[tuple[Record, ...]]:
    """The records of all arms by seed, for the seeds that all of them have: a tuple per seed, in the order of arms."""
    of_arms = []
    for arm in arms:
        by_seed = {record.config.seed: record for record in arm}
        if len(by_seed) < len(arm):
            raise ValueError(f"{len(arm)} records have {len(by_seed)} seeds: they are not of one configuration")
        of_arms.append(by_seed)
    common = sorted(set.intersection(*(set(by_seed) for by_seed in of_arms)))
    if not common:
        raise ValueError(f"no seed has a record of each of the {len(arms)} configurations that are compared")
    return [tuple(by_seed[each] for by_seed in of_arms) for each in common]


def frequency_of(record: Record, kind: str) -> pd.Series:
    """How many molecules of the database are in each group of one kind, those trained on included."""
    rows = record.groups[record.groups["kind"] == kind]
    counts = rows.groupby("group")["molecules"].sum()
    return counts.rename(index=int) if kind == "size" else counts
