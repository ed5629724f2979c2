"""A RegionComplex on disk: one safetensors file, with a header in JSON that says what it is of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from tropica.errors import StoreError
from tropica.exact.rational_arrays import RationalArray, exact_numbers, rational_array
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.parts import Stored
from tropica.regions.domains import constructors as domains
from tropica.regions.domains.domain import Domain, Faces
from tropica.regions.engine.cell_blocks import CellBlock
from tropica.runtime.files import replace_file

FORMAT = 6
HEADER = "tropica"
"""The entry of the file's metadata that holds the header: format, kind, domain, dimension, undecided, network, sha256."""
KIND = "regions"
BLOCK = (
    *("signs", "volumes", "maps", "map_error", "vertex_start", "vertices", "displacement"),
    *("facet_start", "facets", "incidence", "rays"),
)
"""The arrays of the cells."""
DOMAINS = ("Ball", "Box", "Domain", "Plane", "Polygon", "Polytope", "Segment", "Simplex", "Slice", "Space", "Triangle")
"""Classes of domains: origin, basis and incidences are kept as tensors, exact vertices and half-spaces in the header.

Facets of cells name half-spaces of the domain by number, so that these are kept in their order."""


def save_cells(
    found: Enumerated | Stored,
    map_of: np.ndarray,
    adjacency: np.ndarray,
    about: Mapping[str, Any],
    path: str | os.PathLike[str],
) -> None:
    """Write cells with the numbers of their maps, the pairs of neighbors, and more entries of the header."""
    domain = found.domain
    block = {name: getattr(found.cells, name) for name in BLOCK}
    arrays = {"map_of": map_of, "adjacency": adjacency, **{k: v for k, v in block.items() if v is not None}}
    if found.as_written:
        arrays["patterns"] = found.patterns
    name = type(domain).__name__
    arrays |= {"domain.origin": domain.origin, "domain.basis": domain.basis}
    faces: dict[str, list[list[str]]] = {}
    if name != "Space":
        arrays["domain.incidence"] = domain.incidence
        faces = {"vertices": _texts(domain.exact_vertices), "halfspaces": _texts(domain.halfspaces)}
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    header = dict(about) | faces
    header |= {
        "format": FORMAT,
        "kind": KIND,
        "domain": name,
        "dimension": domain.dimension,
        "undecided": found.undecided,
        "undecided_maps": found.undecided_maps,
        "stopped": found.stopped,
        "simplify": found.simplify,
        "upto": found.upto,
        "proven": found.proven,
        "layout": found.layout_digest,
    }
    header["sha256"] = _digest(header, arrays)
    _write(Path(path), safetensors.numpy.save(arrays, {HEADER: json.dumps(header, sort_keys=True)}))


def read_cells(file: Path) -> tuple[Stored, str, Any]:
    """The cells of a file, the fingerprint of their network, and what connects linear regions.

    Raises:
        StoreError: no such file, not one of regions, or damaged; names the file.
    """
    header, arrays = _read(file)
    try:
        domain = _domain(header, arrays)
        return _parts(header, arrays, domain), str(header["network"]), header["connected"]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoreError(f"{file}: damaged ({type(error).__name__}: {error})") from error


def _read(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays, compared with their checksum."""
    try:
        with safetensors.safe_open(file, "numpy") as opened:
            metadata = opened.metadata() or {}
            if HEADER not in metadata:
                raise StoreError(f"{file}: not a file of linear regions, as cx.save(path) writes them")
            header = json.loads(metadata[HEADER])
            if not isinstance(header, dict) or header.get("kind") != KIND:
                raise StoreError(f"{file}: not a file of linear regions, as cx.save(path) writes them")
            if header.get("format") != FORMAT:
                raise StoreError(f"{file}: of format {header.get('format')}; this version of tropica reads format {FORMAT}")
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no mapping)
    except StoreError:
        raise
    except FileNotFoundError:
        raise StoreError(f"{file}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise StoreError(f"{file}: cannot be read ({error})") from error
    if _digest({name: value for name, value in header.items() if name != "sha256"}, arrays) != header.get("sha256"):
        raise StoreError(f"{file}: damaged (its checksum differs)")
    return header, arrays


def _domain(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Domain:
    name, origin, basis = str(header["domain"]), arrays["domain.origin"], arrays["domain.basis"]
    if name not in DOMAINS or basis.shape != (header["dimension"], len(origin)):
        raise ValueError(f"its domain {name!r} does not fit")
    if name == "Space":
        return domains.Space(header["dimension"])
    vertices, halfspaces = (_numbers(header[key]) for key in ("vertices", "halfspaces"))
    if name == "Box":
        points = vertices.numbers()
        ends = np.array([points.min(0), points.max(0)], dtype=np.float64) @ np.abs(basis) + origin
        return domains.Box(*ends)
    faces = Faces(vertices, halfspaces, arrays["domain.incidence"])
    if faces.incidence.shape != (len(vertices.numerators), len(halfspaces.numerators)):
        raise ValueError("the faces of its domain do not fit each other")
    found = Domain.__new__(Domain if name == "Domain" else getattr(domains, name))
    Domain.__init__(found, origin, basis, lambda: faces)
    return found


def _texts(numbers: RationalArray) -> list[list[str]]:
    """A matrix of exact numbers for JSON."""
    return [[str(x) for x in row] for row in exact_numbers(numbers.numbers()).tolist()]


def _numbers(rows: list[list[str]]) -> RationalArray:
    """Such a matrix again."""
    return rational_array(np.array(rows, dtype=object), "numbers", 2)


def _parts(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], domain: Domain) -> Stored:
    """The arrays of the cells, which must fit each other."""
    cells, d = len(arrays["volumes"]), int(header["dimension"])
    maps, start, facet_start = arrays["maps"], arrays["vertex_start"], arrays["facet_start"]
    pairs, number, rays = arrays["adjacency"], arrays["map_of"], arrays.get("rays")
    rows = len(arrays["vertices"])
    fits = (
        maps.shape == (*arrays["map_error"].shape, d + 1)
        and len(arrays["signs"]) == len(maps) == len(number) == cells
        and len(start) == len(facet_start) == cells + 1
        and arrays["vertices"].shape == (start[-1], d)
        and arrays["facets"].shape == (facet_start[-1], 3)
        and len(arrays["displacement"]) == len(arrays["incidence"]) == (rows if rays is None else len(rays)) == rows
        and start[0] == facet_start[0] == 0
        and bool((np.diff(start) > 0).all() and (np.diff(facet_start) > 0).all())
        and pairs.shape[1:] == (2,)
        and all(bool(((index >= 0) & (index < cells)).all()) for index in (pairs, number))
    )
    if not fits:
        raise ValueError("its arrays do not fit each other")
    sure = int(header["undecided"]), int(header["undecided_maps"])
    block = CellBlock(cells, **{name: arrays[name] for name in BLOCK if name in arrays})
    options = header["stopped"], bool(header["simplify"]), header["upto"], bool(header["proven"]), str(header["layout"])
    return Stored(domain, block, *sure, number, pairs, arrays.get("patterns"), *options)


def _digest(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the header, and of names, shapes, types and numbers of arrays."""
    found = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape};".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def _write(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
