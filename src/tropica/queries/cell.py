"""``tp.cell``: the cell of one point, in any input dimension, without enumeration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.network.network import AffineMap, PiecewiseLinearNetwork
from tropica.polyhedra.polytope import Polytope
from tropica.queries.arguments import exact_point, float_points, network_at, numpy_of
from tropica.queries.borders import Borders
from tropica.queries.center import Center, chebyshev_center
from tropica.queries.distances import Distance, dual_norm
from tropica.queries.facets import Facets
from tropica.queries.fixed_pieces import Pieces, pieces_beyond
from tropica.queries.halfspaces import Halfspaces, exact_signs, small
from tropica.queries.metric import to_facet, to_label
from tropica.queries.outputs import Outputs, output_map
from tropica.queries.proven_facets import proven_facets
from tropica.queries.seeds import Across, Seed, halfspaces_of, inside_of
from tropica.queries.small_faces import SmallFaces, small_faces
from tropica.queries.steps import near_one
from tropica.queries.strictness import first_border
from tropica.queries.walls import Walls, walls_of
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

MOST_DIMENSIONS = 8
"""Inputs up to which faces are found exactly in integers, with vertices and volume."""


@dataclass(frozen=True, eq=False, repr=False)
class Cell(HtmlRepr):
    """The set of inputs with one sign vector, a polyhedron on which the network is affine.

    Made by :func:`tropica.cell`, by :meth:`neighbor`, and by :func:`tropica.walk_cells`.

    Attributes:
        lowered: the network in normal form.
        pieces: the piece of each unit, stage by stage.
        inside: a point (1, D) inside, exactly.
        walls: the domain that the cell is cut off at, or None.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> r = tp.cell(net, [2.0, 1.0])
    >>> r
    Cell(2 inequalities in 2 dimensions)
    >>> r.facets.units, r.distance(), r.contains([[1.0, 5.0], [-1.0, 5.0]]).tolist()
    (('relu0[0]', 'relu0[1]'), 1.0, [True, False])
    """

    lowered: Lowered
    pieces: Pieces
    inside: RationalArray
    walls: Walls | None = None

    # ── what it is ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dimension(self) -> int:
        """D: how many numbers an input has."""
        return self.inside.numerators.shape[1]

    @cached_property
    def point(self) -> np.ndarray:
        """A point (*input,) inside, in float64: the point that the cell was asked at."""
        return self._shaped(self.inside.floats()[0])

    @cached_property
    def sign_vector(self) -> tuple[np.ndarray, ...]:
        """For each stage of the lowered network the sign (−1, 0, 1) of every threshold, and the active input of every window.

        A threshold has sign 0 if it is 0 on the whole cell.
        """
        found = exact_points(self.lowered, self.inside)
        return tuple(
            sign[0] if stage.kind == "threshold" else piece
            for stage, sign, piece in zip(self.lowered.stages, found.signs, self.pieces, strict=True)
        )

    @cached_property
    def map(self) -> AffineMap:
        """The affine map of the cell: ``weight`` (1, s, *input) and ``bias`` (1, s), the nearest float64 for small networks."""
        out = self.outputs
        return AffineMap(torch.from_numpy(self._shaped(out.weight)[None].copy()), torch.from_numpy(out.bias[None].copy()))

    @cached_property
    def outputs(self) -> Outputs:
        """The map in float64 with bounds on its error."""
        exact = small(self.lowered, self.dimension, len(self.borders))
        return output_map(self.lowered, self.pieces, self.dimension, exact)

    @property
    def borders(self) -> Borders:
        """The unit of each inequality."""
        return self.halfspaces.borders

    @cached_property
    def halfspaces(self) -> Halfspaces:
        """A x ≤ b: one row for each threshold and each other input of a window, then those of the domain."""
        return halfspaces_of(self.lowered, self.pieces, self.walls)

    def contains(self, x: Any) -> np.ndarray:
        """Whether points x (B, *input) are in the closed cell: (B,) bool, exactly.

        Raises:
            InputError: points of another shape, or that are not finite.
        """
        rows = float_points(x, self.lowered.input_shape, "x")
        return np.asarray((exact_signs(self.lowered, self.pieces, self.halfspaces, rows) <= 0).all(1))

    @property
    def small(self) -> bool:
        """Whether facets are found exactly, all of them."""
        return self._faces is not None

    # ── facets and neighbors ──────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def facets(self) -> Facets:
        """The facets, with a limit of 60 seconds in more than 8 dimensions; :meth:`find_facets` sets another."""
        return self.find_facets()

    def find_facets(self, *, max_seconds: float = 60.0, seed: int = 0) -> Facets:
        """Find the facets: exactly and all of them in up to 8 dimensions, within a limit beyond.

        Beyond, a facet is proven by a point that violates its row alone, a redundant row by a bound on the domain, if that
        is a box. A row that neither proves is listed as undecided.

        Args:
            max_seconds: a limit for more than 8 dimensions.
            seed: of the rays' directions.

        Raises:
            InputError: a limit that is not positive.
        """
        if not max_seconds > 0:
            raise InputError(f"max_seconds must be positive; found {max_seconds!r}")
        if self._faces is not None:
            faces = self._faces
            rows = self.halfspaces.exact
            assert rows is not None

            own = int((self.halfspaces.borders.stage >= 0).sum())
            found = np.array([g[-1] if g[-1] >= own else g[0] for g in faces.groups], np.int64)  # walls come last

            def crossing(f: int) -> tuple[RationalArray, RationalArray]:
                i = found[f]
                return faces.on_facet(f), near_one(rows.numerators[i : i + 1, :-1])

            names = tuple(self.halfspaces.units[i] for i in found)
            zero = np.array([not any(row) for row in rows.numerators.tolist()])
            pairs = zip(found.tolist(), faces.groups, strict=True)
            alone = np.array([len(g) == 1 and self.borders.alone(i, zero) for i, g in pairs], bool)
            return Facets(found, faces.groups, names, np.zeros(0, np.int64), alone, crossing)
        return proven_facets(self.lowered, self.pieces, self.halfspaces, self.inside, self.walls, max_seconds, seed)

    def neighbor(self, facet: int) -> Cell:
        """The cell on the other side of a facet.

        Which units change is found layer by layer at a point in the facet's relative interior: by value, then by slope along
        a direction that leads outwards. Not every unit of the facet changes: relu(x) + relu(−x) is 0 on x = 0 and positive on
        both sides.

        Args:
            facet: the number of the facet in :attr:`facets`.

        Raises:
            InputError: no such facet, or a facet of the domain.
        """
        return cell_of(self.lowered, self.seed_beyond(self._checked(facet)), self.walls)

    def seed_beyond(self, facet: int) -> Seed:
        """The neighbor at a facet, before anything is computed of it."""
        facets = self.facets
        row = int(facets.rows[facet])
        if not facets.alone[facet]:
            at, out = facets.crossing(facet)
            return Seed(pieces_beyond(self.lowered, at, out), at, out)
        pieces = self.borders.crossed(self.pieces, row)
        if facets.ends is None:
            return Seed(pieces, *facets.crossing(facet))
        return Seed(pieces, across=Across(self.pieces, row, *facets.ends(facet)))

    def _checked(self, facet: int) -> int:
        facets = self.facets
        if not 0 <= facet < len(facets):
            raise InputError(f"the cell has facets 0 … {len(facets) - 1}; found {facet}")
        if facets.units[facet].startswith("domain["):
            raise InputError(f"facet {facet} is on the border of the domain: there is no cell beyond it")
        return facet

    @cached_property
    def _faces(self) -> SmallFaces | None:
        rows = self.halfspaces
        if rows.exact is None or self.dimension > MOST_DIMENSIONS:
            return None
        return small_faces(rows.exact.numerators.astype(object), self.inside.floats()[0])

    # ── metric ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def distance(self, x: Any = None, *, norm: str = "l2", to: str = "facet") -> Distance:
        """The distance from a point inside to the border of the cell, or to a change of label inside of it.

        Args:
            x: a point (*input,) in the cell; the cell's own by default.
            norm: "l1", "l2" or "linf".
            to: "facet" for the nearest facet, ``min (b − a·x) / ‖a‖`` in the dual norm; "label" for the nearest point of the
                closed cell at which another output is as large as the one that is largest at x: a linear program for l1 and
                linf, a quadratic one for l2. ∞ if there is none.

        Returns:
            A :class:`Distance`, a float with the bounds ``lower`` and ``upper``, the ``point``, and what it is ``to``.

        Raises:
            InputError: a point outside, another norm.

        >>> import torch, tropica as tp
        >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
        >>> found = tp.cell(net, [3.0, 1.0]).distance()
        >>> found, found.to, found.point.tolist()
        (1.0, 'relu0[1]', [3.0, 0.0])
        """
        dual_norm(norm)
        start = self._float_point(x)
        if to == "facet":
            return to_facet(self.halfspaces, start, norm, self._shaped)
        if to == "label":
            return to_label(self.halfspaces, self.outputs, start, norm, self._shaped)
        raise InputError(f'to must be "facet" or "label"; found {to!r}')

    def _float_point(self, x: Any) -> np.ndarray:
        if x is None:
            return self.inside.floats()[0]
        found = float_points(np.asarray(numpy_of(x))[None], self.lowered.input_shape, "x")
        if not self.contains(self._shaped(found)).all():
            row = int(np.flatnonzero(exact_signs(self.lowered, self.pieces, self.halfspaces, found)[0] > 0)[0])
            raise InputError(f"the point is outside of the cell: beyond {self.halfspaces.units[row]}")
        return found[0]

    def chebyshev(self, norm: str = "l2") -> Center:
        """The largest ball in the cell (HiGHS): center and radius. The radius is that of the center, as it really is.

        Raises:
            InputError: a norm other than l1, l2 and linf.
        """
        rows = self.halfspaces
        return chebyshev_center(rows.A, rows.b, self.inside.floats()[0], dual_norm(norm))

    @cached_property
    def _ball(self) -> Center:
        return self.chebyshev()

    @property
    def center(self) -> np.ndarray:
        """The center (*input,) of the largest l2 ball in the cell; the cell's own point if balls are as large as one likes."""
        return self._shaped(self._ball.point)

    @property
    def radius(self) -> float:
        """The radius of the largest l2 ball in the cell, ∞ if there is none."""
        return self._ball.radius

    @cached_property
    def vertices(self) -> np.ndarray:
        """The vertices (V, *input) in float64, found exactly, in up to 8 dimensions; those of an unbounded cell as well.

        Raises:
            InputError: more than 8 dimensions, or a large network.
        """
        ends = self.exact_faces().ends
        points = ends[ends[:, -1] > 0]
        if len(self.exact_faces().lines):
            return self._shaped(np.zeros((0, self.dimension)))
        return self._shaped(np.array([[int(e) / int(v[-1]) for e in v[:-1]] for v in points.tolist()]))

    @cached_property
    def volume(self) -> float:
        """The volume, in up to 8 dimensions; ∞ for an unbounded cell.

        Raises:
            InputError: more than 8 dimensions, or a large network.
        """
        if not self.exact_faces().bounded:
            return math.inf
        ends = self.exact_faces().ends
        points = [[Fraction(int(e), int(v[-1])) for e in v[:-1]] for v in ends]
        return float(Polytope(points).volume)

    def exact_faces(self) -> SmallFaces:
        """Vertices, rays and facets in integers. Raises InputError in more than 8 dimensions, or for a large network."""
        if self._faces is None:
            raise InputError(
                f"vertices and volumes are found in up to {MOST_DIMENSIONS} dimensions; this cell has {self.dimension:,}"
            )
        return self._faces

    def _shaped(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:-1], *self.lowered.input_shape)

    def __repr__(self) -> str:
        return f"Cell({len(self.borders):,} inequalities in {self.dimension:,} dimensions)"


@own_settings()
def cell(net: PiecewiseLinearNetwork | torch.nn.Module, x: Any, *, domain: Domain | None = None, simplify: bool = True) -> Cell:
    """Find the cell of a point.

    Args:
        net: a network or a module, of any size: nothing is enumerated.
        x: a point (*input,): a tensor, an array, or a list of numbers; floats are read exactly, Fractions and ints as they are.
        domain: a polytope of full dimension that cells are cut off at.
        simplify: merge nonlinearities where linear regions stay the same; otherwise every unit is kept as written.

    Raises:
        InputError: no traced network, a point of another shape or not finite, outside of the domain, or on a border; the
            error names the unit.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, -1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> r = tp.cell(net, [2.0, 1.0])
    >>> A, b = r.halfspaces
    >>> A.tolist(), b.tolist(), r.facets
    ([[-1.0, 1.0]], [0.0], Facets(1 facets, complete))
    >>> tp.cell(net, [1.0, 1.0])
    Traceback (most recent call last):
    ...
    tropica.errors.InputError: the point is on the border of a cell: relu0[0] is 0 there
    """
    net = network_at(net, x)
    at = exact_point(x, net.input_shape)
    walls = None if domain is None else walls_of(domain, net.input_shape)
    return cell_at(lower(net, simplify=simplify), at, walls)


def cell_at(lowered: Lowered, at: RationalArray, walls: Walls | None) -> Cell:
    """The cell of a point (1, D) of a lowered network. Raises InputError for a point on a border or outside of the domain."""
    found = exact_points(lowered, at)
    pieces = tuple(p[0] for p in found.pieces(lowered))
    result = Cell(lowered, pieces, at, walls)
    rows = result.halfspaces
    border = first_border(lowered, pieces, rows, at)
    if border is not None:
        row, sign = border
        if rows.borders.stage[row] >= 0:
            raise InputError(f"the point is on the border of a cell: {rows.units[row]} is 0 there")
        raise InputError(f"the point is {'outside' if sign > 0 else 'on the border'} of the domain: {rows.units[row]}")
    return result


def cell_of(lowered: Lowered, seed: Seed, walls: Walls | None) -> Cell:
    """The cell of a seed."""
    inside, rows = inside_of(lowered, seed, walls)
    made = Cell(lowered, seed.pieces, inside, walls)
    made.__dict__["halfspaces"] = rows  # computed once: what the cached property would give
    return made
