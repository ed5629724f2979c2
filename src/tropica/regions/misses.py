"""How far from its true place a vertex of a complex may be: a proven bound for each.

A vertex v* is where d functions g_i vanish. What is at hand is a point v near it, at which each of them is small: |g_i(v)| is
E_i at the most (see :mod:`tropica.regions.noise`); and for each i an edge to a point w_i where all but g_i are small. Let γ_i
be a lower bound on the length of ∇g_i (the slope of g_i along any edge that it cuts), n_i its direction, ρ_i = E_i/γ_i, û_i
the direction from v to w_i, and κ_i the length of row i of [û_1 … û_d]⁻¹. Then |n_i · û_j| ≤ ε_ij = 2 ρ_i/|w_j − v| for all
j ≠ i, and, as n_i has length 1,

    |n_i · û_i| ≥ (1 − Σ_{j≠i} ε_ij κ_j)/κ_i.

Where each of these sums is 1/4 at most, the solution c of n_i · (v + Σ c_j û_j − v*) = 0 has |c_i| ≤ 2 κ_i max ρ, and so

    |v − v*| ≤ 2 max_i ρ_i Σ_i κ_i.

Where it is more, nothing is known: ∞. In homogeneous coordinates v itself is one more column beside the û_i.
"""

from __future__ import annotations

import numpy as np

from tropica.regions.cells import missing
from tropica.regions.noise import STEP
from tropica.regions.state import State

STEEPEST = 1e8
"""κ beyond which float64 does not tell directions apart well enough to trust κ itself."""


def misses(state: State, first: int, noise: np.ndarray, depth: int) -> np.ndarray:
    """Bounds |v − v*| for the vertices from number ``first`` on.

    Args:
        noise: E_i of every constraint.
        depth: of interpolations, one on the other, that made these vertices out of the domain's.
    """
    vertices, d = state.vertices, state.d
    at = vertices["at"]
    reach = float(np.abs(at).max())
    rounding = depth * STEP * reach
    other, steep = _edges_of(state, first)
    here = at[first:]
    on = vertices["on"][first:]
    homogeneous = bool(state.planes)
    used = slice(0, d + 1 if homogeneous else d)
    lost = np.zeros(len(here), bool)
    rho, ways, lengths = np.zeros(len(here)), [], []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(d):
            lost |= (other[:, i] < 0) | ~(steep[:, i] > 0)
            way = at.take(np.maximum(other[:, i], 0), axis=0)
            way -= here
            length = np.sqrt(np.einsum("mi,mi->m", way, way))
            way /= length[:, None]
            ways.append(way[:, used])
            lengths.append(length)
            np.maximum(rho, noise[on[:, i]] / steep[:, i] + rounding, out=rho)
        if homogeneous:
            ways.append(here / np.sqrt(np.einsum("mi,mi->m", here, here))[:, None])
        kappa = _rows_of_inverse(ways)[:d]
        # Σ_{j≠i} 2 ρ_i κ_j/|w_j − v|, with max ρ for each ρ_i and all j: a little more than needed
        worst = 2 * rho * sum(k / length for k, length in zip(kappa, lengths, strict=True))
        off = 4 * rho * sum(kappa) + rounding
        lost |= ~(worst <= 0.25) | ~(np.maximum.reduce(kappa) <= STEEPEST)
    off[lost] = np.inf
    return _inherited(state, first, off, rounding) if state.shared else off


def _edges_of(state: State, first: int) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex from ``first`` on and each of its constraints: the other end of an edge that leaves it (−1 where there
    is none of any length), and the best lower bound γ there is."""
    vertices, edges = state.vertices, state.edges
    on, place, ends = vertices["on"], vertices["place"], edges["ends"]
    other = np.full((vertices.size - first, state.d), -1, np.int64)
    steep = np.zeros(other.shape)
    for end in (0, 1):
        e = np.flatnonzero((ends[:, end] >= first) & (place[ends[:, 0]] != place[ends[:, 1]] if state.shared else True))
        v, w = ends[e, end], ends[e, 1 - end]
        slot = missing(on.take(v, axis=0), edges["on"].take(e, axis=0))  # of the constraint that the edge leaves
        if state.shared:
            _longest(other, v - first, slot, w, vertices["at"], first)
        else:
            other[v - first, slot] = w
        for k in range(state.d - 1):
            np.maximum.at(steep.reshape(-1), (v - first) * state.d + k + (k >= slot), edges["steep"][e, k])
    if state.d == 1:
        steep[:, 0] = vertices["steep"][first:]
    return other, steep


def _longest(other: np.ndarray, v: np.ndarray, slot: np.ndarray, w: np.ndarray, at: np.ndarray, first: int) -> None:
    """Write ends w where an edge is the longest of those (two at the most) that leave v without a constraint: in degenerate
    complexes the other one may have next to no length."""
    for _ in range(2):
        old = other[v, slot]
        start = at[first + v]
        length = ((at[w] - start) ** 2).sum(1)
        before = np.where(old < 0, -1.0, ((at[np.maximum(old, 0)] - start) ** 2).sum(1))
        longer = length > before
        other[v[longer], slot[longer]] = w[longer]


def _rows_of_inverse(columns: list[np.ndarray]) -> list[np.ndarray]:
    """The lengths of the rows of the inverse of the matrices with these columns: n arrays (m,), from n arrays (m, n)."""
    n = len(columns)
    if n == 1:
        return [np.ones(len(columns[0]))]
    if n == 2:
        (a, b), (c, e) = columns[0].T, columns[1].T
        return [1 / np.abs(a * e - b * c)] * 2
    if n == 3:
        (a, b, c), (p, q, r), (x, y, z) = (column.T for column in columns)
        normals = (
            (q * z - r * y, r * x - p * z, p * y - q * x),
            (y * c - z * b, z * a - x * c, x * b - y * a),
            (b * r - c * q, c * p - a * r, a * q - b * p),
        )
        (s, t, u), _, _ = normals
        volume = np.abs(a * s + b * t + c * u)
        return [np.sqrt(i * i + j * j + k * k) / volume for i, j, k in normals]
    ways = np.stack(columns, 1)
    singular = ~(np.abs(np.linalg.det(ways)) > 0)
    inverse = np.linalg.inv(np.where(singular[:, None, None], np.eye(n), ways))
    lengths = np.sqrt((inverse**2).sum(1))  # the inverse of the transpose: its columns
    lengths[singular] = np.inf
    return list(lengths.T)


def _inherited(state: State, first: int, off: np.ndarray, rounding: float) -> np.ndarray:
    """A vertex that was found at the very place of an older one is as far off as that one; and vertices at one place stand at
    the same point, so that the best bound holds for all of them."""
    place, parents, known = state.vertices["place"], state.vertices["end"][first:], state.vertices["off"]
    root = np.arange(first, first + len(off))
    there = place[parents] == place[first:]
    root[there] = parents[there]
    while True:
        young = root >= first
        further = np.where(young, root[np.where(young, root - first, 0)], root)
        if (further == root).all():
            break
        root = further
    young = root >= first
    off = np.where(young, off[np.where(young, root - first, 0)], known[np.minimum(root, first - 1)] + rounding)
    number = np.unique(place[first:], return_inverse=True)[1].ravel()
    best = np.full(number.max(initial=-1) + 1, np.inf)
    np.minimum.at(best, number, off)
    return best[number]
