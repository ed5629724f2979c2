"""Tropical forms of small networks, multiplied out with dictionaries and Fractions; linear regions of cells, by polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

from tests.oracles.clipping import Point, Row, half
from tests.oracles.polyhedra import essential

Poly = dict[tuple[Fraction, ...], Fraction]
"""{exponents: coefficient}."""
Matrix = Sequence[Sequence[float]]


def plus(f: Poly, g: Poly) -> Poly:
    """f ⊕ g."""
    out = dict(f)
    for e, c in g.items():
        out[e] = max(c, out.get(e, c))
    return out


def times(f: Poly, g: Poly) -> Poly:
    """f ⊙ g."""
    out: Poly = {}
    for e, c in f.items():
        for h, d in g.items():
            key = tuple(a + b for a, b in zip(e, h, strict=True))
            out[key] = max(c + d, out.get(key, c + d))
    return out


def power(f: Poly, a: Fraction) -> Poly:
    """a · f."""
    return {tuple(a * v for v in e): a * c for e, c in f.items()}


FAR = Fraction(2**70)


def pruned(f: Poly) -> Poly:
    """The monomials that are maximal on a set of positive area: a large square is clipped to the set of each monomial."""
    items = list(f.items())
    if items and len(items[0][0]) == 2:
        return {e: c for e, c in items if _is_maximal(e, c, items)}
    keep = essential([list(e) for e, _ in items], [c for _, c in items])
    return dict(items[i] for i in keep)


def _is_maximal(e: tuple[Fraction, ...], c: Fraction, items: Sequence[tuple[tuple[Fraction, ...], Fraction]]) -> bool:
    cell: list[Point] = [(-FAR, -FAR), (FAR, -FAR), (FAR, FAR), (-FAR, FAR)]
    for other, d in items:
        if other != e and cell:
            cell = half(cell, [e[0] - other[0], e[1] - other[1], c - d], 1)
    return bool(cell)


def value(f: Poly, x: Sequence[Fraction]) -> Fraction:
    """The maximum at a point."""
    return max(c + sum((a * b for a, b in zip(e, x, strict=True)), Fraction(0)) for e, c in f.items())


def relu_network(layers: Sequence[tuple[Matrix, Sequence[float]]], inputs: int, last: bool = False) -> list[tuple[Poly, Poly]]:
    """F and G of each output of Linear, ReLU, ..., Linear (and a ReLU if ``last``), pruned by linear algebra after each sum."""
    zero = (Fraction(0),) * inputs
    units = [({tuple(Fraction(int(i == j)) for j in range(inputs)): Fraction(0)}, {zero: Fraction(0)}) for i in range(inputs)]
    for number, (weight, bias) in enumerate(layers):
        after = []
        for row, b in zip(weight, bias, strict=True):
            f: Poly = {zero: Fraction(b)}
            g: Poly = {zero: Fraction(0)}
            for a, (above, below) in zip(map(Fraction, row), units, strict=True):
                if a:
                    first, second = (above, below) if a > 0 else (below, above)
                    f, g = pruned(times(f, power(first, abs(a)))), pruned(times(g, power(second, abs(a))))
            rectified = number < len(layers) - 1 or last
            after.append((pruned(plus(f, g)) if rectified else f, g))
        units = after
    return units


def regions(cells: Sequence[tuple[Sequence[Point], object, Sequence[Row]]]) -> tuple[int, int]:
    """Linear regions and distinct maps of cells of :func:`relu_cells`: cells with one map that share part of a side are one."""
    names: dict[tuple[tuple[Fraction, ...], ...], int] = {}
    maps = [names.setdefault(tuple(tuple(row) for row in output), len(names)) for _, _, output in cells]
    group = list(range(len(cells)))

    def find(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for i, j in combinations(range(len(cells)), 2):
        if maps[i] == maps[j] and find(i) != find(j) and touch(cells[i][0], cells[j][0]):
            group[find(i)] = find(j)
    return sum(group[i] == i for i in range(len(cells))), len(names)


def touch(p: Sequence[Point], q: Sequence[Point]) -> bool:
    """Whether two polygons share part of a side."""
    return any(_overlap(a, b, c, d) for a, b in _sides(p) for c, d in _sides(q))


def _sides(polygon: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def _overlap(a: Point, b: Point, c: Point, d: Point) -> bool:
    u = (b[0] - a[0], b[1] - a[1])

    def off(p: Point) -> Fraction:
        return u[0] * (p[1] - a[1]) - u[1] * (p[0] - a[0])

    def along(p: Point) -> Fraction:
        return u[0] * (p[0] - a[0]) + u[1] * (p[1] - a[1])

    if u == (0, 0) or off(c) or off(d):
        return False
    low, high = sorted((along(c), along(d)))
    return min(high, along(b)) > max(low, Fraction(0))


def as_poly(terms: Mapping[tuple[int | Fraction, ...], int | Fraction]) -> Poly:
    """The monomials of ``to_dict``, in Fractions."""
    return {tuple(map(Fraction, e)): Fraction(c) for e, c in terms.items()}
