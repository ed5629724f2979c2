"""Upper hulls, polytopes and Hoffman constants in Fractions by enumeration of all subsets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

Row = Sequence[Fraction]


def solve(matrix: Sequence[Row], right: Row) -> list[Fraction] | None:
    """The solution of a square system, None if the matrix is singular."""
    rows = [[Fraction(e) for e in row] + [Fraction(r)] for row, r in zip(matrix, right, strict=True)]
    n = len(rows)
    for c in range(n):
        p = next((r for r in range(c, n) if rows[r][c] != 0), None)
        if p is None:
            return None
        rows[c], rows[p] = rows[p], rows[c]
        rows[c] = [e / rows[c][c] for e in rows[c]]
        for r in range(n):
            if r != c:
                rows[r] = [a - rows[r][c] * b for a, b in zip(rows[r], rows[c], strict=True)]
    return [row[-1] for row in rows]


def rank(rows: Sequence[Row]) -> int:
    """The rank of a matrix."""
    left = [[Fraction(e) for e in row] for row in rows]
    found = 0
    for c in range(len(left[0]) if left else 0):
        p = next((r for r in range(found, len(left)) if left[r][c] != 0), None)
        if p is None:
            continue
        left[found], left[p] = left[p], left[found]
        for r in range(found + 1, len(left)):
            share = left[r][c] / left[found][c]
            left[r] = [a - share * b for a, b in zip(left[r], left[found], strict=True)]
        found += 1
    return found


def weights(point: Row, corners: Sequence[Row]) -> list[Fraction] | None:
    """Barycentric coordinates of a point, or None if it is outside the affine hull of the corners or these are dependent."""
    d = len(point)
    rows = [[c[i] for c in corners] for i in range(d)] + [[Fraction(1)] * len(corners)]
    right = [*point, Fraction(1)]
    if rank(rows) < len(corners):
        return None
    for chosen in itertools.combinations(range(d + 1), len(corners)):
        found = solve([rows[i] for i in chosen], [right[i] for i in chosen])
        if found is not None:
            fits = all(sum(a * w for a, w in zip(row, found, strict=True)) == r for row, r in zip(rows, right, strict=True))
            return found if fits else None
    return None


def essential(points: Sequence[Row], heights: Row) -> list[int]:
    """Indices of the vertices of the upper hull: no simplex of other points covers them at the same height or above."""
    points = [[Fraction(e) for e in p] for p in points]
    heights = [Fraction(h) for h in heights]
    return [i for i in range(len(points)) if not _covered(i, points, heights)]


def _covered(i: int, points: list[list[Fraction]], heights: list[Fraction]) -> bool:
    same = [j for j in range(len(points)) if points[j] == points[i]]
    if min(same, key=lambda j: (-heights[j], j)) != i:
        return True
    others = [j for j in range(len(points)) if points[j] != points[i]]
    for size in range(1, len(points[i]) + 2):
        for chosen in itertools.combinations(others, size):
            w = weights(points[i], [points[j] for j in chosen])
            if w is not None and min(w) >= 0 and sum(a * heights[j] for a, j in zip(w, chosen, strict=True)) >= heights[i]:
                return True
    return False


def cells(points: Sequence[Row], heights: Row) -> set[frozenset[int]]:
    """The maximal upper faces of points that span their space.

    A face is the set of points on a hyperplane through d + 1 of them, with all other points below it.
    """
    points = [[Fraction(e) for e in p] for p in points]
    d = len(points[0])
    found = set()
    for chosen in itertools.combinations(range(len(points)), d + 1):
        plane = solve([[*points[i], Fraction(1)] for i in chosen], [Fraction(heights[i]) for i in chosen])
        if plane is None:
            continue
        gaps = [sum(a * b for a, b in zip(plane, [*p, 1], strict=True)) - h for p, h in zip(points, heights, strict=True)]
        if min(gaps) >= 0:
            found.add(frozenset(i for i, g in enumerate(gaps) if g == 0))
    return found


def inside(point: Row, corners: Sequence[Row]) -> bool:
    """Whether a point lies in a convex hull (Carathéodory)."""
    for size in range(1, len(point) + 2):
        for chosen in itertools.combinations(corners, size):
            w = weights(point, chosen)
            if w is not None and min(w) >= 0:
                return True
    return False


def hoffman_squared(rows: Sequence[Row]) -> Fraction:
    """The largest 1/dist² of the origin to the hull of a set of rows, over all sets whose hull does not contain it."""
    rows = [[Fraction(e) for e in r] for r in rows]
    best = Fraction(0)
    for size in range(1, len(rows) + 1):
        for chosen in itertools.combinations(rows, size):
            if not inside([Fraction(0)] * len(rows[0]), chosen):
                best = max(best, 1 / _nearest(chosen))
    return best


def _nearest(corners: Sequence[Row]) -> Fraction:
    """The squared distance of the origin to a convex hull: the nearest point of a face's affine hull that is in the face."""
    found = []
    for size in range(1, len(corners) + 1):
        for chosen in itertools.combinations(corners, size):
            gram = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in chosen] for x in chosen]
            # minimize |Σ w_i c_i|² with Σ w_i = 1
            n = len(chosen)
            system = [[*gram[i], Fraction(-1)] for i in range(n)] + [[Fraction(1)] * n + [Fraction(0)]]
            w = solve(system, [Fraction(0)] * n + [Fraction(1)])
            if w is not None and min(w[:n]) >= 0:
                found.append(w[n])
    return min(found)
