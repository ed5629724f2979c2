"""A level set or a decision boundary in three dimensions as an oriented polygon mesh, welded exactly."""

from __future__ import annotations

import os
import struct
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.output_cells import OutputCells
from tropica.regions.complex.simplices import facets_of
from tropica.runtime.arithmetic import under_own_settings
from tropica.runtime.files import write_file
from tropica.runtime.html import HtmlRepr

Point = tuple[Fraction, ...]


@under_own_settings
@dataclass(frozen=True, eq=False)
class Mesh(HtmlRepr):
    """Polygons in space that share their vertices.

    Seen from the side of the higher label, or from above the level, the vertices of a polygon go round counterclockwise. Two
    vertices are one if they are equal as rational points; a vertex in the middle of another polygon's edge is a vertex of that
    polygon too.

    Attributes:
        vertices: (V, 3) in the coordinates x where the network has three inputs, else in t.
        polygons: F arrays of numbers of vertices, in order around each polygon.
        labels: (F, 2) the labels on either side; of a level set 0 and 1.
    """

    vertices: np.ndarray
    polygons: list[np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.polygons)

    @cached_property
    def edges(self) -> dict[tuple[int, int], int]:
        """How many polygons have each edge, by its two vertices, the lower number first."""
        ends = ((a, b) for p in self.polygons for a, b in zip(p.tolist(), np.roll(p, -1).tolist(), strict=True))
        return Counter((min(e), max(e)) for e in ends)

    @property
    def closed(self) -> bool:
        """Whether every edge belongs to two polygons or more: the surface ends nowhere, not even at the domain's border."""
        return all(count > 1 for count in self.edges.values())

    @property
    def euler_characteristic(self) -> int:
        """Vertices − edges + polygons: 2 for a sphere, 0 for a torus."""
        return len(self.vertices) - len(self.edges) + len(self)

    @cached_property
    def triangles(self) -> np.ndarray:
        """(T, 3) numbers of vertices: each polygon as a fan from its first vertex."""
        fans = [np.column_stack([np.full(len(p) - 2, p[0]), p[1:-1], p[2:]]) for p in self.polygons]
        return np.concatenate([np.zeros((0, 3), np.int64), *fans])

    @property
    def area(self) -> float:
        """That of all polygons."""
        a, b, c = (self.vertices[self.triangles[:, k]] for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mesh: ``.ply`` and ``.obj`` with polygons, ``.stl`` (binary) with triangles.

        Raises:
            InputError: another suffix, or a file that cannot be written.
        """
        file = Path(path)
        writers = {".ply": _ply, ".obj": _obj, ".stl": _stl}
        if file.suffix not in writers:
            raise InputError(f"{file.name}: a mesh is saved as .ply, .obj or .stl; found {file.suffix or 'no suffix'}")
        write_file(file, writers[file.suffix](self))

    def __repr__(self) -> str:
        return f"Mesh({len(self):,} polygons, {len(self.vertices):,} vertices, {'closed' if self.closed else 'open'})"


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(numbers: np.ndarray) -> str:
    return "".join(" ".join(map(repr, row)) + "\n" for row in numbers.tolist())


def _ply(mesh: Mesh) -> str:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(mesh.vertices)}\nproperty double x\nproperty double y\nproperty double z\n"
        f"element face {len(mesh)}\nproperty list int int vertex_indices\nend_header\n"
    )
    faces = "".join(f"{len(p)} {' '.join(map(str, p.tolist()))}\n" for p in mesh.polygons)
    return head + _rows(mesh.vertices) + faces


def _obj(mesh: Mesh) -> str:
    points = "".join(f"v {line}\n" for line in _rows(mesh.vertices).splitlines())
    return points + "".join(f"f {' '.join(map(str, (p + 1).tolist()))}\n" for p in mesh.polygons)


def _stl(mesh: Mesh) -> bytes:
    corners = mesh.vertices[mesh.triangles].astype("<f4")
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    table = np.zeros(len(corners), np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    table["n"], table["c"] = normals, corners
    return b"tropica".ljust(80) + struct.pack("<I", len(corners)) + table.tobytes()


# ── welding ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def make_mesh(parts: OutputCells, pairs: np.ndarray, facets: np.ndarray) -> Mesh:
    """The mesh of some facets between parts.

    Args:
        parts: cells clipped by functions of the outputs.
        pairs: (A, 2) the two parts at each facet.
        facets: (A,) the facets.
    """
    domain = parts.found.domain
    if domain.dimension != 3:
        raise InputError(f"meshes are surfaces in a domain of 3 dimensions; this one has {domain.dimension}")
    if domain.limits() is None:
        raise InputError("meshes are of bounded domains, as a Box; found all of space")
    rings = [_ring(parts, facet) for facet in facets.tolist()]
    rows = np.concatenate([np.zeros(0, np.int64), *rings])
    number, points, at = _welded(parts, rows)
    ends = np.cumsum([len(ring) for ring in rings])[:-1]
    polygons = np.split(number, ends) if rings else []
    polygons = [p if _upward(parts, pair, at[p]) else p[::-1] for p, pair in zip(polygons, pairs, strict=True)]
    polygons = _without_gaps(polygons, points)
    vertices = at @ domain.basis + domain.origin if domain.input_size == 3 else at
    return Mesh(vertices, polygons, np.sort(parts.piece[pairs], axis=1))


def _ring(parts: OutputCells, facet: int) -> np.ndarray:
    """The rows of a facet's vertices in order around it: two that lie on one more facet of the part are neighbors."""
    rows = parts.vertices_of(facet)
    member = np.ones((1, len(rows)), bool)
    meets = parts.parts.on[rows][None]
    sides = meets[0][:, facets_of(meets, member)[0]].T
    ends = [np.flatnonzero(side).tolist() for side in sides]
    ring, left = [0], [e for e in ends if len(e) == 2]
    while len(ring) < len(rows):
        side = next(e for e in left if ring[-1] in e)
        left.remove(side)
        ring.append(side[0] if side[1] == ring[-1] else side[1])
    return rows[ring]


def _welded(parts: OutputCells, rows: np.ndarray) -> tuple[np.ndarray, list[Point], np.ndarray]:
    """A number for each row, equal for equal points; the points, exactly and as floats."""
    own, at = np.unique(rows, return_inverse=True)
    known: dict[Point, int] = {}
    number = np.zeros(len(own), np.int64)
    for i, row in enumerate(own.tolist()):
        number[i] = known.setdefault(tuple(parts.corner(row)[:-1]), len(known))
    points = list(known)
    return number[at.ravel()], points, np.array([[float(x) for x in p] for p in points]).reshape(-1, 3)


def _upward(parts: OutputCells, pair: np.ndarray, corners: np.ndarray) -> bool:
    """Whether the normal of a ring points to the part of the higher piece, by the slopes of the functions there."""
    low, high = pair[np.argsort(parts.piece[pair])].tolist()
    cells = parts.parent[[low, high]]
    maps = parts.found.maps[0][cells][:, :, :3].sum(0)
    if parts.functions.largest:
        slope = maps[parts.piece[high]] - maps[parts.piece[low]]
    else:
        slope = parts.functions.weight.floats()[0] @ maps
    away = corners - corners[0]
    normal = np.cross(away[1:-1], away[2:]).sum(0)
    return float(normal @ slope) > 0


def _without_gaps(polygons: list[np.ndarray], points: list[Point]) -> list[np.ndarray]:
    """Polygons with those vertices of others that lie inside of their edges, where an edge has no counterpart."""
    directed = Counter((a, b) for p in polygons for a, b in zip(p.tolist(), np.roll(p, -1).tolist(), strict=True))
    alone = {(a, b) for a, b in directed if (b, a) not in directed}
    candidates = sorted({v for edge in alone for v in edge})
    found = []
    for polygon in polygons:
        ring: list[int] = []
        for a, b in zip(polygon.tolist(), np.roll(polygon, -1).tolist(), strict=True):
            ring.append(a)
            if (a, b) in alone:
                ring += _between(points, a, b, candidates)
        found.append(np.array(ring))
    return found


def _between(points: list[Point], a: int, b: int, candidates: list[int]) -> list[int]:
    """The candidates strictly inside of an edge, in order along it."""
    along = [y - x for x, y in zip(points[a], points[b], strict=True)]
    k = max(range(3), key=lambda i: abs(along[i]))
    inside = []
    for v in candidates:
        share = (points[v][k] - points[a][k]) / along[k]
        if 0 < share < 1 and all(p == x + share * d for p, x, d in zip(points[v], points[a], along, strict=True)):
            inside.append((share, v))
    return [v for _, v in sorted(inside)]
