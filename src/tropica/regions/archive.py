"""A RegionComplex on disk: one safetensors file, with a header in JSON that says what it is of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

from tropica.errors import InputError, StoreError
from tropica.exact.rational_arrays import exact_array, exact_numbers
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions import domains
from tropica.regions.cell_blocks import CellBlock
from tropica.regions.cell_stream import problem_on
from tropica.regions.domain import Domain, faces_of_points
from tropica.regions.enumerated import Enumerated
from tropica.regions.lower import lower
from tropica.regions.parts import Stored
from tropica.regions.tasks import Counters
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.files import replace_file

if TYPE_CHECKING:
    from tropica.regions.complex import RegionComplex

FORMAT = 4
HEADER = "tropica"
"""The entry of the file's metadata that holds the header: format, kind, domain, dimension, undecided, network, sha256."""
KIND = "regions"
BLOCK = (
    *("signs", "volumes", "maps", "map_error", "vertex_start", "vertices", "displacement"),
    *("facet_start", "facets", "incidence", "rays"),
)
"""The arrays of the cells."""
DOMAINS = ("Ball", "Box", "Domain", "Plane", "Polygon", "Polytope", "Segment", "Simplex", "Slice", "Space", "Triangle")
"""Classes of domains: their origin and basis are kept as tensors, their exact vertices in the header."""


def save_regions(cx: RegionComplex, path: str | os.PathLike[str]) -> None:
    """As :meth:`RegionComplex.save`."""
    parts = cx._found
    block = {name: getattr(parts.cells, name) for name in BLOCK}
    arrays = {"map_of": cx.map_of, "adjacency": cx.adjacency, **{k: v for k, v in block.items() if v is not None}}
    if parts.as_written:
        arrays["patterns"] = cx.patterns
    name = type(cx.domain).__name__
    arrays |= {"domain.origin": cx.domain.origin, "domain.basis": cx.domain.basis}
    vertices = [] if name == "Space" else exact_numbers(cx.domain.exact_vertices.numbers()).tolist()
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    header = {
        "format": FORMAT,
        "kind": KIND,
        "domain": name,
        "vertices": [[str(x) for x in row] for row in vertices],
        "dimension": cx.dimension,
        "undecided": cx.undecided,
        "undecided_maps": cx.undecided_maps,
        "stopped": cx.stopped,
        "simplify": parts.simplify,
        "upto": parts.upto,
        "proven": parts.proven,
        "connected": cx.connected,
        "network": cx.fingerprint,
    }
    header["sha256"] = _digest(header, arrays)
    _write(Path(path), safetensors.numpy.save(arrays, {HEADER: json.dumps(header, sort_keys=True)}))


@own_settings()
def load_regions(path: str | os.PathLike[str], net: PiecewiseLinearNetwork | None = None) -> RegionComplex:
    """Read a complex that ``cx.save(path)`` wrote.

    Args:
        path: the file.
        net: the network that it is of. Without it cells, maps, volumes and neighbors can be read; what needs the network, such
            as ``locate``, ``boundary`` and ``facets``, is refused.

    Returns:
        The :class:`RegionComplex`.

    Raises:
        StoreError: no such file, not one of regions, damaged, or of another network; names the file.
        InputError: ``net`` is not a traced network.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.fill_(1.0), model[0].bias.fill_(0.0)
    >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(-1, 1, d=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cx.save(f"{folder}/regions.safetensors")
    ...     again = tp.load_regions(f"{folder}/regions.safetensors")
    >>> len(again.cells), len(again.maps), again.volume
    (2, 2, 4.0)
    """
    from tropica.regions.complex import RegionComplex

    if net is not None and not isinstance(net, PiecewiseLinearNetwork):
        raise InputError(f"load_regions needs a traced network, tp.trace(model, example); got {type(net).__name__}")
    file = Path(path)
    header, arrays = _read(file)
    try:
        domain = _domain(header, arrays)
        parts = _parts(header, arrays, domain)
        fingerprint, connected = str(header["network"]), header["connected"]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoreError(f"{file}: damaged ({type(error).__name__}: {error})") from error
    if net is None:
        return RegionComplex(parts, domain, None, fingerprint, connected)
    if parts.upto is not None:
        net = net.upto(parts.upto)
    if net.fingerprint != fingerprint:
        raise StoreError(f"{file}: of another network (fingerprint {fingerprint[:12]}…, this one has {net.fingerprint[:12]}…)")
    lowered = lower(net, simplify=parts.simplify)
    own = net.to(torch.float64).to("cpu")
    counters = Counters(undecided=parts.undecided)
    problem = problem_on(lowered, domain)
    found = Enumerated(own, lowered, domain, problem, parts.cells, counters, parts.stopped, parts.simplify, parts.upto)
    return RegionComplex(found, domain, own, fingerprint, connected)


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
    points = exact_numbers(exact_array(np.array(header["vertices"], dtype=object), "vertices", 2))
    if name == "Box":
        ends = np.array([points.min(0), points.max(0)], dtype=np.float64) @ np.abs(basis) + origin
        return domains.Box(*ends)
    found = Domain.__new__(Domain if name == "Domain" else getattr(domains, name))
    faces = faces_of_points(points)
    Domain.__init__(found, origin, basis, lambda: faces)
    return found


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
    options = header["stopped"], bool(header["simplify"]), header["upto"], bool(header["proven"])
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
