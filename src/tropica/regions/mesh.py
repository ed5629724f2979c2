"""A level set or a decision boundary in three dimensions as an oriented polygon mesh, welded exactly."""

from __future__ import annotations

import os
import struct
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.output_cells import OutputCells
from tropica.regions.topology.faces import FaceComplex
from tropica.regions.topology.parts import boundary_complex
from tropica.runtime.arithmetic import under_own_settings
from tropica.runtime.files import write_file
from tropica.runtime.html import HtmlRepr


@under_own_settings
@dataclass(frozen=True, eq=False)
class Mesh(HtmlRepr):
    """Polygons in space that share their vertices.

    Seen from the side of the higher label, or from above the level, the vertices of a polygon go round counterclockwise. Two
    vertices are one if they are equal as rational points, and polygons that touch along an edge share it.

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
        """Write the mesh: ``.ply`` and ``.obj`` with polygons, ``.stl`` (binary) with triangles, ``.html`` as a page that turns
        it (needs ``tropica[plotly]``).

        Raises:
            InputError: another suffix, a file that cannot be written, plotly is not installed.
        """
        file = Path(path)
        writers = {".ply": _ply, ".obj": _obj, ".stl": _stl, ".html": _html}
        if file.suffix not in writers:
            raise InputError(f"{file.name}: a mesh is saved as .ply, .obj, .stl or .html; found {file.suffix or 'no suffix'}")
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


def _html(mesh: Mesh) -> str:
    """A page without further files, with a drawing of the triangles in WebGL."""
    try:
        from plotly.graph_objects import Figure, Mesh3d, Scatter3d
    except ImportError:
        raise InputError('pages of meshes need plotly: pip install "tropica[plotly]"') from None
    (x, y, z), (i, j, k) = mesh.vertices.T, mesh.triangles.T
    color = np.repeat(np.unique(mesh.labels, axis=0, return_inverse=True)[1].ravel(), [len(p) - 2 for p in mesh.polygons])
    ends = np.array(list(mesh.edges), np.int64).reshape(-1, 2)
    lines = np.concatenate([mesh.vertices[ends], np.full((len(ends), 1, 3), np.nan)], 1).reshape(-1, 3).T
    surface = Mesh3d(x=x, y=y, z=z, i=i, j=j, k=k, intensity=color, intensitymode="cell", showscale=False, flatshading=True)
    edges = Scatter3d(x=lines[0], y=lines[1], z=lines[2], mode="lines", line={"color": "black", "width": 1}, hoverinfo="skip")
    layout = {"title": repr(mesh), "showlegend": False, "scene": {"aspectmode": "data"}}
    return Figure([surface, edges], layout).to_html(include_plotlyjs=True)


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    if not len(facets):
        return Mesh(np.zeros((0, 3)), [], np.zeros((0, 2), np.int64))
    faces = boundary_complex(parts, facets)
    at = parts.parts.at[faces.rows, :3]
    start, around = rings(faces)
    turned = ~_upward(parts, pairs, start, at[around])
    polygons = [p[::-1] if turn else p for p, turn in zip(np.split(around, start[1:-1]), turned.tolist(), strict=True)]
    vertices = at @ domain.basis + domain.origin if domain.input_size == 3 else at
    return Mesh(vertices, polygons, np.sort(parts.piece[pairs], axis=1))


def rings(faces: FaceComplex) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of polygons in order around each: offsets (F + 1,), and the numbers of the vertices.

    Two edges of a polygon meet in each of its vertices, so that all polygons are walked around at once.
    """
    start, edges = faces.facets[1]
    polygon = np.repeat(np.repeat(np.arange(len(start) - 1), np.diff(start)), 2)
    vertex = faces.edges[edges].ravel()  # entries 2k and 2k + 1 are the ends of one edge of one polygon
    met = np.lexsort((vertex, polygon)).reshape(-1, 2)  # the two entries of a vertex in a polygon
    other = np.empty(len(vertex), np.int64)
    other[met[:, 0]], other[met[:, 1]] = met[:, 1], met[:, 0]
    around = np.empty(len(edges), np.int64)
    active, here = np.arange(len(start) - 1), 2 * start[:-1]
    for step in range(int(np.diff(start).max(initial=0))):
        going = step < np.diff(start)[active]
        active, here = active[going], here[going]
        around[start[active] + step] = vertex[here]
        here = other[here] ^ 1
    return start, around


def _upward(parts: OutputCells, pairs: np.ndarray, start: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Whether the normal of each ring points to the part of the higher piece, by the slopes of the functions there."""
    ordered = np.take_along_axis(pairs, np.argsort(parts.piece[pairs], axis=1), 1)
    maps = parts.found.maps[0][parts.parent[ordered]][..., :3].sum(1)
    if parts.functions.largest:
        every, (low, high) = np.arange(len(pairs)), parts.piece[ordered].T
        slope = maps[every, high] - maps[every, low]
    else:
        slope = np.einsum("o,nok->nk", parts.functions.weight.floats()[0], maps)
    polygon = np.repeat(np.arange(len(pairs)), np.diff(start))
    away = corners - corners[start[:-1]][polygon]
    following = np.roll(away, -1, axis=0)  # that of a ring's last vertex is of the next ring; the last vertex's turn is 0
    following[start[1:] - 1] = 0
    normal = np.zeros((len(pairs), 3))
    np.add.at(normal, polygon, np.cross(away, following))
    return np.einsum("nk,nk->n", normal, slope) > 0
