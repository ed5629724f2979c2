"""Reading a DC decomposition from disk: its multipliers in float64 and the fingerprint of its network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import FORMAT, KIND, DCDecomposition
from tropica.decomposition.history import steps_from_json
from tropica.errors import InputError, StoreError
from tropica.network.graph import INPUT
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.certificate import Certificate


@own_settings()
def load_decomposition(path: str | os.PathLike[str], net: PiecewiseLinearNetwork) -> DCDecomposition:
    """Read a decomposition that :meth:`DCDecomposition.save` wrote.

    Args:
        path: the file.
        net: the network that was decomposed.

    Raises:
        StoreError: the file does not exist, holds no decomposition or that of another network, or is damaged.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> net = tp.trace(model, torch.zeros(2, 4))
    >>> made = tp.decompose(net, torch.randn(100, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made.save(f"{folder}/decomposition.safetensors")
    ...     again = load_decomposition(f"{folder}/decomposition.safetensors", net)
    >>> again.fingerprint == made.fingerprint
    True
    """
    file = SafetensorsFile(Path(path)).kind(KIND)
    about: dict[str, Any] = file.about
    if about.get("format") != FORMAT:
        raise StoreError(
            f"{path}: a decomposition in format {about.get('format')!r}, not {FORMAT}; make it again with tp.decompose"
        )
    try:
        net = net.for_task(about.get("task", net.task))
    except InputError as error:
        raise StoreError(f"{path}: {error}") from error
    if about.get("network") != net.fingerprint:
        raise StoreError(f"{path}: the decomposition of another network")
    units = {nonlinearity.name: nonlinearity.unit_shape for nonlinearity in net.nonlinearities}
    multipliers: dict[str, Tensor] = {}
    for key in sorted(file.names() - {INPUT}):
        name = key.removeprefix("k.")
        multipliers[name] = _checked(file, key, units.get(name))
    extra = _checked(file, INPUT, net.input_shape) if INPUT in file.names() else None
    try:
        decomposition = DCDecomposition(
            net,
            str(about["method"]),
            multipliers,
            extra,
            float(about["constant"]),
            float(about["passes"]),
            None if about["smallest_cotangent"] is None else float(about["smallest_cotangent"]),
            steps_from_json(about["history"]),
            {str(name): float(factor) for name, factor in about.get("factors", {}).items()},
            Certificate(**about["certificate"]) if about.get("certificate") else None,
            bool(about.get("double_double", False)),
            tuple(map(str, about.get("escalations", ()))),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({type(error).__name__}: {error})") from error
    if decomposition.fingerprint != about.get("fingerprint"):
        raise StoreError(f"{path}: damaged (its fingerprint differs)")
    return decomposition


def _checked(file: SafetensorsFile, name: str, shape: tuple[int, ...] | None) -> Tensor:
    """A validated copy of K, as the file may be replaced later."""
    k = file.tensor(name)
    if shape is None or tuple(k.shape) != tuple(shape) or k.dtype != torch.float64 or not bool((k >= 0).all()):
        raise StoreError(f"{file.path}: damaged ({name} is not K of this network)")
    return k.clone()
