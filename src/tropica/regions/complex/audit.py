"""An independent check of enumerated cells, in rational numbers.

The check reads the cells' sign vectors and facets alone. Each cell's vertices are solved for again, and the network as lowered
is evaluated there without rounding: a cell lies where its sign vector holds if no vertex contradicts it. The map is compared at
the mean of the vertices, a point of the interior. A lost cell leaves facets that no other cell shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import from_fractions
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.engine.exact_vertices import interior_point
from tropica.regions.lower.exact_points import ExactPoints, embedded, exact_points
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Audit(HtmlRepr):
    """What the check of a complex found: numbers of cells.

    Attributes:
        cells: how many were checked.
        contradicted: a vertex contradicts the sign vector, or all vertices lie in a hyperplane.
        wrong_maps: the map differs from the network by more than its stated bound.
        wrongly_merged: cells of one map number with maps that differ, or of two numbers with equal maps.
        open_facets: cells with a facet inside of the domain that no other cell shares.
    """

    cells: int
    contradicted: tuple[int, ...]
    wrong_maps: tuple[int, ...]
    wrongly_merged: tuple[int, ...]
    open_facets: tuple[int, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.contradicted or self.wrong_maps or self.wrongly_merged or self.open_facets)

    def __repr__(self) -> str:
        if self.passed:
            return f"Audit({self.cells:,} cells, nothing wrong)"
        names = ("contradicted", "wrong_maps", "wrongly_merged", "open_facets")
        found = ", ".join(f"{name}: {len(getattr(self, name)):,}" for name in names if getattr(self, name))
        return f"Audit({self.cells:,} cells; {found})"


def audit_cells(found: Enumerated, map_of: np.ndarray) -> Audit:
    """Check all cells and their map numbers (C,)."""
    contradicted, wrong_maps = [], []
    for cell in range(len(found)):
        signs, map_fits = _check(found, cell)
        if not signs:
            contradicted.append(cell)
        elif not map_fits:
            wrong_maps.append(cell)
    closed = np.bincount(found.shared_facets, minlength=len(found.facet_cells)) > 0
    inner = found.facet_stages >= 0
    open_facets = np.unique(found.facet_cells[inner & ~closed])
    return Audit(len(found), tuple(contradicted), tuple(wrong_maps), tuple(_merged(found, map_of)), tuple(open_facets.tolist()))


def _check(found: Enumerated, cell: int) -> tuple[bool, bool]:
    """Whether a cell's vertices fit its sign vector, and its map fits the network."""
    try:
        corners = found.exact_corners(cell)
    except ArithmeticError:  # the hyperplanes of a vertex do not meet in a point
        return False, False
    if len(_independent(corners)) <= found.domain.dimension:
        return False, False
    points = [p[:-1] for p in corners if p[-1]]
    rays = [p[:-1] for p in corners if not p[-1]]
    inside = interior_point(corners)
    reached = _evaluated(found, [*points, inside], False)
    at_corners = [reached, _evaluated(found, rays, True)] if rays else [reached]
    pieces = [p[cell] for p in found.pieces]
    for at in at_corners:
        for stage, sign, piece in zip(found.lowered.stages, at.signs, pieces, strict=True):
            if stage.kind == "threshold":
                fits = ((sign >= 0) | (piece == 0)) & ((sign <= 0) | (piece == 1)) | (stage.low == stage.high)
            else:
                fits = np.take_along_axis(sign, np.broadcast_to(piece[None, :, None], (len(sign), len(piece), 1)), 2)[:, :, 0]
            if not fits.all():
                return False, False
    return True, _map_fits(found, cell, inside, reached.outputs.numbers()[-1].tolist())


def _evaluated(found: Enumerated, t: list[list[Fraction]], directions: bool) -> ExactPoints:
    """The network at points t, or in directions."""
    given = from_fractions((x for point in t for x in point), (len(t), found.domain.dimension))
    return exact_points(found.lowered, embedded(found.domain, given), linear=directions)


def _map_fits(found: Enumerated, cell: int, mean: list[Fraction], outputs: list) -> bool:
    weight, bias = found.logits
    reach = max([1, *map(abs, mean)]) if found.cells.rays is not None else 1  # there the bound is one for |t| ≤ 1
    for row, constant, bound, wanted in zip(weight[cell], bias[cell], found.maps[1][cell], outputs, strict=True):
        if not (np.isfinite(row).all() and np.isfinite(constant)):
            return False
        value = sum((Fraction(w) * x for w, x in zip(row.tolist(), mean, strict=True)), Fraction(constant))
        if np.isfinite(bound) and abs(value - wanted) > Fraction(bound) * reach:
            return False
    return True


def _merged(found: Enumerated, map_of: np.ndarray) -> list[int]:
    """Cells whose map number contradicts their exact map."""
    keys = found.exact_maps(np.arange(len(found)))
    first: dict[object, int] = {}
    number: dict[int, int] = {}
    wrong = []
    for cell, (key, given) in enumerate(zip(keys, map_of.tolist(), strict=True)):
        own = first.setdefault(key, cell)
        if number.setdefault(given, own) != own or map_of[own] != given:
            wrong.append(cell)
    return wrong


def _independent(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    """Independent rows, by elimination."""
    kept: list[list[Fraction]] = []
    for row in rows:
        left = row
        for done in kept:
            c = next(k for k, x in enumerate(done) if x)
            left = [a - left[c] / done[c] * b for a, b in zip(left, done, strict=True)]
        if any(left):
            kept.append(left)
    return kept
