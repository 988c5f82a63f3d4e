"""Compiled loops over neighbour lists."""

import numpy as np

from fused.compiled import compiled


@compiled()
def halved(idx_i, idx_j, shifts, atoms):
    """Each pair of a directed list once, ordered by its first, then its second atom.

    Gives whether the list is that of molecules: every pair there in both directions, between two atoms of one molecule,
    and without a cell's offset. If so, then the first and second atoms, int32 [P], and where each molecule's pairs
    begin, int64 [M + 1].
    """
    n_atoms, n_pairs = atoms[-1], len(idx_i) // 2
    first, second = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32)
    mirrored, pairs = np.empty(n_pairs, np.int32), np.zeros(len(atoms), np.int64)
    forward, backward = np.zeros(n_atoms + 1, np.int64), np.zeros(n_atoms + 1, np.int64)
    refused = False, first, second, pairs
    for e in range(len(idx_i)):
        i, j = idx_i[e], idx_j[e]
        if min(i, j) < 0 or max(i, j) >= n_atoms or i == j:
            return refused
        if shifts[e, 0] != 0 or shifts[e, 1] != 0 or shifts[e, 2] != 0:
            return refused
        if i < j:
            forward[i + 1] += 1
        else:
            backward[j + 1] += 1
    for a in range(n_atoms):
        if forward[a + 1] != backward[a + 1]:
            return refused
        forward[a + 1] += forward[a]
    if 2 * forward[n_atoms] != len(idx_i):
        return refused
    places, mirrors = forward.copy(), forward.copy()
    for e in range(len(idx_i)):
        i, j = idx_i[e], idx_j[e]
        if i < j:
            first[places[i]], second[places[i]] = i, j
            places[i] += 1
        else:
            mirrored[mirrors[j]] = i
            mirrors[j] += 1
    for m in range(len(atoms) - 1):
        for a in range(atoms[m], atoms[m + 1]):
            row, mirror = second[forward[a] : forward[a + 1]], mirrored[forward[a] : forward[a + 1]]
            _sort(row)
            _sort(mirror)
            for k in range(len(row)):
                if row[k] != mirror[k] or row[k] >= atoms[m + 1]:
                    return refused
        pairs[m + 1] = forward[atoms[m + 1]]
    return True, first, second, pairs


@compiled()
def _sort(row):
    """Insertion: rows are short, and all neighbour lists but one hand them over in order."""
    for k in range(1, len(row)):
        value, place = row[k], k
        while place and row[place - 1] > value:
            row[place] = row[place - 1]
            place -= 1
        row[place] = value


@compiled()
def placed(first, second, atoms, pairs):
    """Pairs counted through the batch, int32 [P], from those counted in their molecules."""
    out = np.empty((2, len(first)), np.int32)
    for m in range(len(atoms) - 1):
        for p in range(pairs[m], pairs[m + 1]):
            out[0, p], out[1, p] = first[p] + atoms[m], second[p] + atoms[m]
    return out[0], out[1]


@compiled()
def distances(first, second, positions):
    """The distance of each pair, of the positions' type and unit."""
    out = np.empty(len(first), positions.dtype)
    for p in range(len(first)):
        i, j = first[p], second[p]
        x = positions[j, 0] - positions[i, 0]
        y = positions[j, 1] - positions[i, 1]
        z = positions[j, 2] - positions[i, 2]
        out[p] = np.sqrt(x * x + y * y + z * z)
    return out


@compiled()
def within(positions, atoms, cutoff):
    """The pairs of atoms of one molecule nearer than the cut-off.

    First and second atoms, int32 [P], counted through all molecules, whose atoms begin at `atoms`, int64 [M + 1]; the
    distances, float32 [P]; and where each molecule's pairs begin, int64 [M + 1].
    """
    first, second = np.empty(0, np.int32), np.empty(0, np.int32)
    distance, pairs = np.empty(0, np.float32), np.zeros(len(atoms), np.int64)
    for turn in range(2):  # the first only counts
        count = 0
        for m in range(len(atoms) - 1):
            for i in range(atoms[m], atoms[m + 1]):
                for j in range(i + 1, atoms[m + 1]):
                    x = positions[j, 0] - positions[i, 0]
                    y = positions[j, 1] - positions[i, 1]
                    z = positions[j, 2] - positions[i, 2]
                    d = np.sqrt(x * x + y * y + z * z)
                    if d < cutoff:
                        if turn:
                            first[count], second[count], distance[count] = i, j, d
                        count += 1
            pairs[m + 1] = count
        if turn == 0:
            first, second, distance = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.float32)
    return first, second, distance, pairs


@compiled()
def in_order(idx_m, n_atoms):
    """Whether `idx_m` says of each atom that it belongs to the molecule which `n_atoms` says."""
    atom = 0
    for m in range(len(n_atoms)):
        for _ in range(n_atoms[m]):
            if atom == len(idx_m) or idx_m[atom] != m:
                return False
            atom += 1
    return atom == len(idx_m)
