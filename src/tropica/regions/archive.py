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
from tropica.regions.domain import Domain, faces_of_points
from tropica.regions.parts import Stored
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.files import replace_file

if TYPE_CHECKING:
    from tropica.regions.complex import RegionComplex

FORMAT = 3
HEADER = "tropica"
"""The entry of the file's metadata that holds the header: format, kind, domain, dimension, undecided, network, sha256."""
KIND = "regions"
DOMAINS = ("Ball", "Box", "Domain", "Plane", "Polygon", "Polytope", "Segment", "Simplex", "Slice", "Space", "Triangle")
"""Classes of domains: their origin and basis are kept as tensors, their exact vertices in the header."""


def save_regions(cx: RegionComplex, path: str | os.PathLike[str]) -> None:
    """As :meth:`RegionComplex.save`."""
    weight, bias = cx.logits
    starts, corners = cx.corners
    arrays = {
        "patterns": cx.patterns,
        "centers": cx.centers,
        "weight": weight,
        "bias": bias,
        "map_of": cx.map_of,
        "starts": starts,
        "corners": corners,
        "volumes": cx.volumes,
        "adjacency": cx.adjacency,
    }
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
        "network": cx.fingerprint,
    }
    header["sha256"] = _digest(header, arrays)
    _write(Path(path), safetensors.numpy.save(arrays, {HEADER: json.dumps(header, sort_keys=True)}))


@own_settings()
def load_regions(path: str | os.PathLike[str], net: PiecewiseLinearNetwork | None = None) -> RegionComplex:
    """Read a complex that ``cx.save(path)`` wrote.

    Args:
        path: the file.
        net: the network that it is of. Without it all can be read, but ``locate``, ``embed`` and ``boundary`` are refused.

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
        domain, parts = _domain(header, arrays), _parts(header, arrays)
        fingerprint = str(header["network"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoreError(f"{file}: damaged ({type(error).__name__}: {error})") from error
    if net is not None and net.fingerprint != fingerprint:
        raise StoreError(f"{file}: of another network (fingerprint {fingerprint[:12]}…, this one has {net.fingerprint[:12]}…)")
    return RegionComplex(parts, domain, net and net.to(torch.float64).to("cpu"), fingerprint)


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


def _parts(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Stored:
    """The arrays of the cells, which must fit each other."""
    cells, d = len(arrays["patterns"]), int(header["dimension"])
    weight, bias, starts, corners = (arrays[name] for name in ("weight", "bias", "starts", "corners"))
    pairs, number = arrays["adjacency"], arrays["map_of"]
    fits = (
        arrays["centers"].shape == (cells, d)
        and weight.shape == (*bias.shape, d)
        and len(bias) == len(arrays["volumes"]) == len(number) == cells
        and starts.shape == (cells + 1,)
        and corners.shape == (starts[-1], d + 1)
        and starts[0] == 0
        and bool((np.diff(starts) > 0).all())
        and pairs.shape[1:] == (2,)
        and all(bool(((index >= 0) & (index < cells)).all()) for index in (pairs, number))
    )
    if not fits:
        raise ValueError("its arrays do not fit each other")
    logits, at = (weight, bias), (starts, corners)
    sure = int(header["undecided"]), int(header["undecided_maps"])
    return Stored(*sure, arrays["patterns"], arrays["centers"], logits, number, at, arrays["volumes"], pairs)


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
