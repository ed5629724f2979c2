"""Cells of a small network on a polytope, by rational enumeration: one unit after the other cuts, with no floats anywhere.

A layer is one of three: an affine map, units that bend where their own value passes a level, or windows that take the largest
of some values. All activations that are piecewise linear are made of these. Shares nothing with the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from tests.oracles.convex import Polyhedron, Row, integers, mean_value, rank, simplex_volume

Form = tuple[Fraction, ...]
"""(w_1, …, w_d, c): the affine function ⟨w, t⟩ + c."""


@dataclass(frozen=True)
class Affine:
    """x ↦ W x + b."""

    weight: Sequence[Sequence[float | Fraction]]
    bias: Sequence[float | Fraction]


@dataclass(frozen=True)
class Bend:
    """Units z ↦ below·(z − level) + level where z ≤ level, above·(z − level) + level elsewhere.

    Relu is level 0, below 0, above 1; abs has below −1; max(z, c) has level c, below 0; min(z, c) level c, below 1, above 0.
    A unit with one slope twice does not bend: it cuts nothing, and its piece is 0.
    """

    below: float | Sequence[float] = 0.0
    above: float | Sequence[float] = 1.0
    level: float | Sequence[float] = 0.0


@dataclass(frozen=True)
class Largest:
    """Each output is the largest of the values with these indices."""

    windows: Sequence[Sequence[int]]


Layer = Affine | Bend | Largest


@dataclass(frozen=True)
class Cell:
    """Polyhedron, piece of every unit (a tie on a whole cell: the lower piece, the first of a window), outputs."""

    body: Polyhedron
    pattern: tuple[int, ...]
    outputs: tuple[Form, ...]


@dataclass(frozen=True)
class Cells:
    """All cells, and what relates them."""

    cells: list[Cell] = field(repr=False)

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def patterns(self) -> set[tuple[int, ...]]:
        return {cell.pattern for cell in self.cells}

    @cached_property
    def maps(self) -> set[tuple[Form, ...]]:
        return {cell.outputs for cell in self.cells}

    @cached_property
    def volume(self) -> Fraction:
        return sum((cell.body.volume() or Fraction(0) for cell in self.cells), Fraction(0))

    def common(self, dimension: int) -> list[tuple[int, int]]:
        """Pairs of cells that share a face of a dimension or more (cells meet face to face)."""
        vertices = [set(cell.body.vertices) for cell in self.cells]
        found = []
        for j, second in enumerate(vertices):
            for i, first in enumerate(vertices[:j]):
                both = first & second
                if len(both) > dimension and rank(list(both)) > dimension and any(v[-1] for v in both):
                    found.append((i, j))
        return sorted(found)

    @cached_property
    def neighbors(self) -> list[tuple[int, int]]:
        """Pairs of cells that share a facet."""
        return self.common(self.cells[0].body.d - 1)

    @cached_property
    def regions(self) -> list[set[int]]:
        """Linear regions: cells of one affine map, connected through facets."""
        same = [(i, j) for i, j in self.neighbors if self.cells[i].outputs == self.cells[j].outputs]
        return components(len(self.cells), same)

    def integral(self) -> list[Fraction]:
        """The integral over t of each output."""
        total = [Fraction(0)] * len(self.cells[0].outputs)
        for cell in self.cells:
            for simplex in cell.body.simplices():
                size = simplex_volume(simplex)
                for k, form in enumerate(cell.outputs):
                    total[k] += size * mean_value(form, simplex)
        return total


def enumerate_cells(layers: Sequence[Layer], domains: Iterable[Polyhedron], embedding: Sequence[Form] | None = None) -> Cells:
    """All full-dimensional cells on the union of some polyhedra (one, or the cones that cover space).

    Args:
        layers: the network.
        domains: polyhedra in t. The parts of a cell that several of them hold are listed once each.
        embedding: the inputs as affine functions of t; t itself by default.
    """
    found = []
    for body in domains:
        unit = [tuple(Fraction(int(i == j)) for j in range(body.d + 1)) for i in range(body.d)]
        found += _refine(list(layers), tuple(unit if embedding is None else embedding), body, ())
    return Cells(found)


def decision_boundary(
    layers: Sequence[Layer], domain: Polyhedron, outputs: int
) -> tuple[Cells, list[tuple[int, int, int, int]]]:
    """Cells cut by the label as well, and (i, j, low, high): neighbors i and j of different labels.

    The label is the first largest output; for one output 1 where it is positive.
    """
    label = Bend() if outputs == 1 else Largest([range(outputs)])
    cut = enumerate_cells([*layers, label], [domain])
    pairs = []
    for i, j in cut.neighbors:
        a, b = cut.cells[i].pattern[-1], cut.cells[j].pattern[-1]
        if a != b:
            pairs.append((i, j, min(a, b), max(a, b)))
    return cut, pairs


def components(count: int, pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Connected components of a graph."""
    group = [{i} for i in range(count)]
    for i, j in pairs:
        if group[i] is not group[j]:
            group[i] |= group[j]
            for k in group[j]:
                group[k] = group[i]
    return list({id(g): g for g in group}.values())


# ── refinement ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refine(layers: list[Layer], forms: tuple[Form, ...], body: Polyhedron, pattern: tuple[int, ...]) -> Iterator[Cell]:
    if not layers:
        yield Cell(body, pattern, forms)
        return
    layer, rest = layers[0], layers[1:]
    if isinstance(layer, Affine):
        yield from _refine(rest, _affine(layer, forms), body, pattern)
        return
    units = _bends(layer, forms) if isinstance(layer, Bend) else [[forms[i] for i in w] for w in layer.windows]
    for pieces, out, part in _cut(units, body, isinstance(layer, Bend)):
        yield from _refine(rest, out, part, pattern + pieces)


def _affine(layer: Affine, forms: tuple[Form, ...]) -> tuple[Form, ...]:
    found = []
    for row, bias in zip(layer.weight, layer.bias, strict=True):
        total = [Fraction(0)] * (len(forms[0]) - 1) + [Fraction(bias)]
        for w, form in zip(row, forms, strict=True):
            if w:
                total = [t + Fraction(w) * f for t, f in zip(total, form, strict=True)]
        found.append(tuple(total))
    return tuple(found)


def _bends(layer: Bend, forms: tuple[Form, ...]) -> list[list[Form]]:
    """For each unit: z − level, and its values below and above."""
    below, above, level = (
        [Fraction(x) for x in (v if isinstance(v, Sequence) else [v] * len(forms))]
        for v in (layer.below, layer.above, layer.level)
    )
    units = []
    for form, low, high, at in zip(forms, below, above, level, strict=True):
        z = (*form[:-1], form[-1] - at)
        units.append([z, *((*(s * x for x in z[:-1]), s * z[-1] + at) for s in (low, high))])
    return units


def _cut(
    units: list[list[Form]], body: Polyhedron, bends: bool
) -> Iterator[tuple[tuple[int, ...], tuple[Form, ...], Polyhedron]]:
    """The parts of a polyhedron by the pieces of several units."""
    if not units:
        yield (), (), body
        return
    unit = units[0]
    for piece, out, part in _sides(unit, body) if bends else _largest(unit, body):
        for pieces, outs, at in _cut(units[1:], part, bends):
            yield (piece, *pieces), (out, *outs), at


def _sides(unit: list[Form], body: Polyhedron) -> Iterator[tuple[int, Form, Polyhedron]]:
    z, below, above = unit
    f = integers(z)
    if not any(f) or below == above:
        yield 0, below, body
        return
    for piece, out, sign in ((0, below, -1), (1, above, 1)):
        part = body.half(_times(sign, f))
        if part is not None:
            yield piece, out, part


def _largest(window: list[Form], body: Polyhedron) -> Iterator[tuple[int, Form, Polyhedron]]:
    for k, form in enumerate(window):
        if form in window[:k]:
            continue
        part: Polyhedron | None = body
        for other in window:
            if other != form and part is not None:
                part = part.half(integers([a - b for a, b in zip(form, other, strict=True)]))
        if part is not None:
            yield k, form, part


def _times(sign: int, f: Row) -> Row:
    return tuple(sign * x for x in f)
