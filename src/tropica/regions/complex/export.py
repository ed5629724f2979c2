"""Cells in files of other programs: VTK (ParaView, PyVista) and polymake (OSCAR reads it)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from tropica.errors import InputError
from tropica.regions.complex.cell_arrays import given
from tropica.regions.complex.enumerated import Enumerated
from tropica.runtime.files import write_file

_TYPES = {1: 3, 2: 7, 3: 42}
"""VTK's numbers of a line, a polygon, a polyhedron."""


def export_cells(found: Enumerated, numbers: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write bounded cells, and for VTK some numbers of each, to a file of the format that the suffix says."""
    file = Path(path)
    if file.suffix == ".vtu":
        write_file(file, vtk_text(found, numbers))
    elif file.suffix == ".json":
        write_file(file, polymake_text(found))
    else:
        raise InputError(
            f"{file.name}: cells are exported as .vtu (VTK) or .json (polymake); found {file.suffix or 'no suffix'}"
        )


# ── VTK ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def vtk_text(found: Enumerated, numbers: Mapping[str, np.ndarray]) -> str:
    """An unstructured grid in VTK's XML: cells with some numbers of each."""
    d, domain = found.domain.dimension, found.domain
    if d not in _TYPES:
        raise InputError(f"VTK has cells of 1, 2 or 3 dimensions; these have {d}")
    starts, corners = found.corners
    points = corners[:, :d] @ domain.basis + domain.origin if domain.input_size <= 3 else corners[:, :d]
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    arrays = [
        _array("connectivity", np.arange(len(points))),
        _array("offsets", starts[1:]),
        _array("types", np.full(len(found), _TYPES[d]), "UInt8"),
    ]
    if d == 3:
        faces, ends = _polyhedra(found)
        arrays += [_array("faces", faces), _array("faceoffsets", ends)]
    kinds = {"i": "Int64", "f": "Float64"}
    data = [_array(name, column, kinds[column.dtype.kind]) for name, column in numbers.items()]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            '<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64"><UnstructuredGrid>',
            f'<Piece NumberOfPoints="{len(points)}" NumberOfCells="{len(found)}">',
            f"<Points>{_array('points', points, 'Float64', 3)}</Points>",
            f"<Cells>{''.join(arrays)}</Cells>",
            f"<CellData>{''.join(data)}</CellData>",
            "</Piece></UnstructuredGrid></VTKFile>\n",
        ]
    )


def _array(name: str, values: np.ndarray, kind: str = "Int64", components: int = 1) -> str:
    text = " ".join(map(repr, values.ravel().tolist()))
    return f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{components}" format="ascii">{text}</DataArray>'


def _polyhedra(found: Enumerated) -> tuple[np.ndarray, np.ndarray]:
    """VTK's streams of faces: for each cell the number of faces, then for each face its vertices in order."""
    start, facet_start = given(found.cells.vertex_start), given(found.cells.facet_start)
    stream: list[int] = []
    ends: list[int] = []
    for cell in range(len(found)):
        facets = range(int(facet_start[cell]), int(facet_start[cell + 1]))
        stream.append(len(facets))
        for facet in facets:
            rows = found.facet_vertices(facet)[1]
            around = rows[around_polygon(found.vertices[rows])]
            stream += [len(around), *around.tolist()]
        ends.append(len(stream))
    assert start[-1] == len(found.vertices)
    return np.array(stream), np.array(ends)


def around_polygon(points: np.ndarray) -> np.ndarray:
    """The order of the corners (V, 3) of a convex polygon in space around it."""
    away = points - points.mean(0)
    plane = away @ np.linalg.svd(away, full_matrices=False)[2][:2].T
    return np.argsort(np.arctan2(plane[:, 1], plane[:, 0]))


# ── polymake ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def polymake_text(found: Enumerated) -> str:
    """polymake's ``fan::PolyhedralComplex`` in t: exact vertices (1, t), and the vertices of each cell."""
    number: dict[tuple[Fraction, ...], int] = {}
    cells: list[list[int]] = []
    for cell in range(len(found)):
        corners = found.exact_corners(cell)
        cells.append(sorted(number.setdefault(tuple(c), len(number)) for c in corners))
    vertices = [["1", *(str(x) for x in point[:-1])] for point in number]
    content = {
        "_ns": {"polymake": ["https://polymake.org", "4.0"]},
        "_type": "fan::PolyhedralComplex",
        "VERTICES": vertices,
        "MAXIMAL_POLYTOPES": [*cells, {"cols": len(vertices)}],
    }
    return json.dumps(content) + "\n"
