"""The decision boundary: where two labels tie for the largest logit, as polytopes with their two labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.cells import Incidence, changes, facets
from tropica.regions.enumerated import can_enumerate
from tropica.regions.label_cells import label_facets
from tropica.regions.solid import solid_cells
from tropica.regions.state import State
from tropica.regions.volume import hull_volume

if TYPE_CHECKING:
    from tropica.regions.complex import RegionComplex


@dataclass(frozen=True, eq=False)
class Boundary:
    """The pieces of a decision boundary, one for each activation cell and pair of labels that meet in it.

    Attributes:
        labels: (P, 2) the labels on either side, the lower first.
        cells: (P,) numbers of the cells that the pieces lie in.
        pieces: P arrays (V, d) of corners in the coordinates t, for d = 2 the two ends of a segment.
        sizes: (P,) length (d = 2) or area (d = 3, …) of each in the input space, 1 for a point (d = 1).
        undecided: as of a RegionComplex.
    """

    labels: np.ndarray
    cells: np.ndarray
    pieces: list[np.ndarray]
    sizes: np.ndarray
    undecided: int

    @property
    def measure(self) -> float:
        """All sizes together: how many points, what length, what area."""
        return float(self.sizes.sum())

    @cached_property
    def pairs(self) -> dict[tuple[int, int], float]:
        """The size of the boundary between any two labels that meet."""
        found: dict[tuple[int, int], float] = {}
        for (low, high), size in zip(self.labels.tolist(), self.sizes.tolist(), strict=True):
            found[low, high] = found.get((low, high), 0.0) + size
        return found

    def __len__(self) -> int:
        return len(self.pieces)


def find_boundary(cx: RegionComplex) -> Boundary:
    """The facets between cells of different label, of cells that are cut by the labels as well."""
    if not can_enumerate(cx.net, cx.domain):
        return _walked_boundary(cx)
    labels, cells, corners, undecided = label_facets(cx.net, cx.domain, cx.locator)
    if not len(labels):
        return Boundary(labels.reshape(0, 2), cells, [], np.zeros(0), undecided)
    part = np.repeat(np.arange(len(corners)), [len(c) for c in corners])
    sizes = _sizes(np.concatenate(corners), part, len(corners), cx.domain.basis)
    return Boundary(labels, cells, [c[c[:, -1] > 0, :-1] for c in corners], sizes, undecided)


def _walked_boundary(cx: RegionComplex) -> Boundary:
    """Refine the domain once more, by the labels too, and keep the facets between parts of different label."""
    parts = solid_cells(cx.net, cx.domain, labels=True)
    label = cx.net.predict(cx.embed(parts.centers)).numpy()
    found = facets(parts.state, parts.cells)
    pairs = found.pairs()
    sides = label[found.cell[pairs]]
    pairs, sides = pairs[sides[:, 0] != sides[:, 1]], np.sort(sides[sides[:, 0] != sides[:, 1]], axis=1)
    if not len(pairs):
        return Boundary(sides.reshape(0, 2), np.zeros(0, np.int64), [], np.zeros(0), parts.undecided)
    cell = cx.locate(parts.centers[found.cell[pairs[:, 0]]])
    group, number = np.unique(np.concatenate([cell[:, None], sides], 1), axis=0, return_inverse=True)
    basis = parts.folded.basis.numpy()
    pieces, sizes = _pieces(parts.state, found.incidence, pairs[:, 0], number.ravel(), len(group), basis)
    return Boundary(group[:, 1:], group[:, 0], pieces, sizes, parts.undecided)


def _pieces(
    state: State, incidence: Incidence, facet: np.ndarray, number: np.ndarray, count: int, basis: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The corners of each piece, which may be several facets, and its size."""
    lengths = incidence.counts[facet]
    first = np.repeat(incidence.starts[facet] - np.append(0, np.cumsum(lengths)[:-1]), lengths)
    vertex = incidence.members[np.arange(lengths.sum()) + first]
    piece, part = np.repeat(number, lengths), np.repeat(np.arange(len(facet)), lengths)
    at = state.vertices["at"][vertex]
    sizes = np.bincount(number, _sizes(at, part, len(facet), basis), minlength=count)
    place = state.vertices["place"][vertex]
    order = np.lexsort((place, piece))
    piece, place, at = piece[order], place[order], at[order]
    new = changes(piece, place)
    piece, at = piece[new], at[new]
    finite = at[:, -1] > 0
    piece, t = piece[finite], at[finite, :-1] / at[finite, -1:]
    if state.d == 2:
        piece, t = _ends(piece, t)
    return np.split(t, np.searchsorted(piece, np.arange(1, count))), sizes


def _ends(piece: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two ends of each piece, whose points lie on one line (one point where the piece goes on for ever)."""
    starts = np.flatnonzero(changes(piece))
    stops = np.append(starts[1:], len(piece))
    span = np.maximum.reduceat(t, starts, axis=0) - np.minimum.reduceat(t, starts, axis=0)
    axis = np.repeat(span.argmax(1), stops - starts)  # along the line's longer extent
    order = np.lexsort((t[np.arange(len(t)), axis], piece))
    keep = np.unique(np.concatenate([starts, stops - 1]))
    return piece[order][keep], t[order][keep]


def _sizes(at: np.ndarray, part: np.ndarray, count: int, basis: np.ndarray) -> np.ndarray:
    """Length, area, … in the input space of facets with such corners (homogeneous coordinates); ∞ where one is at infinity."""
    d = at.shape[1] - 1
    if d == 1:
        return np.ones(count)
    endless = np.bincount(part, at[:, -1] == 0, minlength=count) > 0
    x = (at[:, :-1] / np.where(at[:, -1:] > 0, at[:, -1:], 1)) @ basis
    starts = np.searchsorted(part, np.arange(count))
    stops = np.append(starts[1:], len(part))
    if d == 2:
        sizes = np.linalg.norm(x[stops - 1] - x[starts], axis=1)
    else:
        sizes = np.array([0.0 if e else hull_volume(x[a:b], d - 1) for a, b, e in zip(starts, stops, endless, strict=True)])
    return np.where(endless, np.inf, sizes)
