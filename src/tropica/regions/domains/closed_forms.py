"""Vertices and facets of boxes, cross-polytopes and cones, in closed form."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, from_fractions
from tropica.polyhedra.vertex_enumeration import MOST_VERTICES
from tropica.regions.domains.domain import Faces, power_of_ten


def box_faces(ends: list[tuple[Fraction, Fraction]]) -> Faces:
    """Facets in the order lo₀, hi₀, lo₁, hi₁, …"""
    d = len(ends)
    _check_size(d, "a box of {d} dimensions has {count} vertices")
    choice = np.array(list(itertools.product((0, 1), repeat=d)))
    corners = from_fractions((ends[i][c] for row in choice.tolist() for i, c in enumerate(row)), (len(choice), d))
    rows = [
        [*(Fraction(sign if j == i else 0) for j in range(d)), sign * end] for i in range(d) for sign, end in _sides(ends[i])
    ]
    incidence = np.stack([choice == 0, choice == 1], 2).reshape(len(choice), 2 * d)
    return Faces(corners, from_fractions((x for row in rows for x in row), (2 * d, d + 1)), incidence)


def _sides(ends: tuple[Fraction, Fraction]) -> tuple[tuple[int, Fraction], tuple[int, Fraction]]:
    return (-1, ends[0]), (1, ends[1])


def cross_faces(center: list[Fraction], radius: Fraction) -> Faces:
    """Vertices −e₀, e₀, −e₁, …; a facet for each vector of signs."""
    d = len(center)
    _check_size(d, "an l1 ball of {d} dimensions has {count} facets")
    moves = [(i, sign) for i in range(d) for sign in (-1, 1)]
    corners = from_fractions((c + sign * radius * (i == j) for i, sign in moves for j, c in enumerate(center)), (2 * d, d))
    signs = np.array(list(itertools.product((-1, 1), repeat=d)))
    offsets = (radius + sum((s * c for s, c in zip(row, center, strict=True)), Fraction(0)) for row in signs.tolist())
    entries = (Fraction(x) for row, b in zip(signs.tolist(), offsets, strict=True) for x in (*row, b))
    incidence = np.array([signs[:, i] == sign for i, sign in moves])
    return Faces(corners, from_fractions(entries, (len(signs), d + 1)), incidence)


def cone_faces(rays: np.ndarray) -> Faces:
    """The cone of d independent rays: its apex, then the rays; facet i is without ray i."""
    d = len(rays)
    normals = np.round(np.linalg.inv(rays)).astype(np.int64)  # unimodular: entries −1, 0, 1
    vertices = np.zeros((d + 1, d + 1), np.int64)
    vertices[0, d], vertices[1:, :d] = 1, rays
    halfspaces = np.concatenate([-normals.T, np.zeros((d, 1), np.int64)], 1)
    incidence = np.concatenate([np.ones((1, d), bool), ~np.eye(d, dtype=bool)])
    return Faces(RationalArray(vertices), RationalArray(halfspaces), incidence)


def _check_size(d: int, text: str) -> None:
    if 1 << min(d, 64) > MOST_VERTICES:
        raise InputError(
            f"{text.format(d=d, count=power_of_ten(d))}, and at most {MOST_VERTICES:,} are enumerated; use a domain of few "
            "dimensions inside of it (Segment, Plane, Slice), or tp.estimate_regions"
        )
