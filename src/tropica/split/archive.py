"""A convex split on disk: K, in float64, with what it is of."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tropica import sealed
from tropica.errors import StoreError
from tropica.network import PiecewiseLinearNetwork
from tropica.split.convex import ConvexSplit, PairwiseCheck

KIND = "convex split"
INPUT = "input"


def save_split(split: ConvexSplit, path: str | os.PathLike[str]) -> str:
    """Write a split to a safetensors file, whole or not at all; the seal of the file.

    Raises StoreError where it cannot be written.
    """
    about = {
        "kind": KIND,
        "format": 1,
        "network": split.net.fingerprint,
        "fingerprint": split.fingerprint,
        "method": split.method,
        "constant": split.constant,
        "passes": split.passes,
        "smallest": split.smallest,
        "history": list(split.history),
        "factors": dict(split.factors),
        "pairs": None if split.pairs is None else asdict(split.pairs),
    }
    tensors = {f"k.{name}": k.double() for name, k in split.weights.items()}
    if split.input_weight is not None:
        tensors[INPUT] = split.input_weight.double()
    return sealed.write(Path(path), about, tensors)


def load_split(path: str | os.PathLike[str], net: PiecewiseLinearNetwork) -> ConvexSplit:
    """Read a split that :func:`save_split` wrote.

    Args:
        path: the file.
        net: the network that it is of.

    Raises:
        StoreError: no such file, not a split, damaged, or of another network.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> net = tp.trace(model, torch.zeros(2, 4))
    >>> made = tp.split(net, torch.randn(100, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     seal = save_split(made, f"{folder}/split.safetensors")
    ...     again = load_split(f"{folder}/split.safetensors", net)
    >>> again.fingerprint == made.fingerprint
    True
    """
    file = sealed.Sealed(Path(path)).kind(KIND)
    about: dict[str, Any] = file.about
    if about.get("network") != net.fingerprint:
        raise StoreError(f"{path}: the split of another network")
    units = {kink.name: kink.unit_shape for kink in net.kinks}
    weights: dict[str, Tensor] = {}
    for key in sorted(file.names() - {INPUT}):
        name = key.removeprefix("k.")
        weights[name] = _checked(file, key, units.get(name))
    extra = _checked(file, INPUT, net.input_shape) if INPUT in file.names() else None
    try:
        split = ConvexSplit(
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
    if split.fingerprint != about.get("fingerprint"):
        raise StoreError(f"{path}: damaged (its fingerprint differs)")
    return split


def _checked(file: sealed.Sealed, name: str, shape: tuple[int, ...] | None) -> Tensor:
    """K as it must be, copied: the file may be replaced later."""
    k = file.tensor(name)
    if shape is None or tuple(k.shape) != tuple(shape) or k.dtype != torch.float64 or not bool((k >= 0).all()):
        raise StoreError(f"{file.path}: damaged ({name} is not K of this network)")
    return k.clone()
