"""A DC decomposition on disk: K, in float64, with what it is of."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import DCDecomposition, PairwiseCheck
from tropica.errors import StoreError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime import safetensors_files
from tropica.runtime.safetensors_files import SafetensorsFile

KIND = "DC decomposition"
INPUT = "input"


def save_decomposition(decomposition: DCDecomposition, path: str | os.PathLike[str]) -> str:
    """Write a decomposition to a safetensors file, whole or not at all; the checksum of the file.

    Raises StoreError where it cannot be written.
    """
    about = {
        "kind": KIND,
        "format": 1,
        "network": decomposition.net.fingerprint,
        "fingerprint": decomposition.fingerprint,
        "method": decomposition.method,
        "constant": decomposition.constant,
        "passes": decomposition.passes,
        "smallest": decomposition.smallest,
        "history": list(decomposition.history),
        "factors": dict(decomposition.factors),
        "pairs": None if decomposition.pairs is None else asdict(decomposition.pairs),
    }
    tensors = {f"k.{name}": k.double() for name, k in decomposition.weights.items()}
    if decomposition.input_weight is not None:
        tensors[INPUT] = decomposition.input_weight.double()
    return safetensors_files.write(Path(path), about, tensors)


def load_decomposition(path: str | os.PathLike[str], net: PiecewiseLinearNetwork) -> DCDecomposition:
    """Read a decomposition that :func:`save_decomposition` wrote.

    Args:
        path: the file.
        net: the network that it is of.

    Raises:
        StoreError: no such file, not a decomposition, damaged, or of another network.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> net = tp.trace(model, torch.zeros(2, 4))
    >>> made = tp.decompose(net, torch.randn(100, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checksum = save_decomposition(made, f"{folder}/decomposition.safetensors")
    ...     again = load_decomposition(f"{folder}/decomposition.safetensors", net)
    >>> again.fingerprint == made.fingerprint
    True
    """
    file = SafetensorsFile(Path(path)).kind(KIND)
    about: dict[str, Any] = file.about
    if about.get("network") != net.fingerprint:
        raise StoreError(f"{path}: the decomposition of another network")
    units = {nonlinearity.name: nonlinearity.unit_shape for nonlinearity in net.nonlinearities}
    weights: dict[str, Tensor] = {}
    for key in sorted(file.names() - {INPUT}):
        name = key.removeprefix("k.")
        weights[name] = _checked(file, key, units.get(name))
    extra = _checked(file, INPUT, net.input_shape) if INPUT in file.names() else None
    try:
        decomposition = DCDecomposition(
            net,
            str(about["method"]),
            weights,
            extra,
            float(about["constant"]),
            float(about["passes"]),
            None if about["smallest"] is None else float(about["smallest"]),
            [str(line) for line in about["history"]],
            {str(name): float(factor) for name, factor in about.get("factors", {}).items()},
            PairwiseCheck(**about["pairs"]) if about.get("pairs") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({type(error).__name__}: {error})") from error
    if decomposition.fingerprint != about.get("fingerprint"):
        raise StoreError(f"{path}: damaged (its fingerprint differs)")
    return decomposition


def _checked(file: SafetensorsFile, name: str, shape: tuple[int, ...] | None) -> Tensor:
    """K as it must be, copied: the file may be replaced later."""
    k = file.tensor(name)
    if shape is None or tuple(k.shape) != tuple(shape) or k.dtype != torch.float64 or not bool((k >= 0).all()):
        raise StoreError(f"{file.path}: damaged ({name} is not K of this network)")
    return k.clone()
