"""``tropica decompose``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table
from tropica.cli.reading import read_points


class Per(StrEnum):
    """The nonlinearities that share a factor in the minimal decomposition."""

    network = "network"
    nonlinearity = "nonlinearity"


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica decompose networks/fcn-small/seed-0 --data digits --method paper",
)
def decompose(
    model: options.Model,
    data: options.Data,
    subset: options.InSubset = options.Subset.train,
    limit: options.Limit = None,
    label: options.Label = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    method: Annotated[options.Method, typer.Option("--method", help=options.METHOD_HELP)] = options.Method.calibrated,
    per: Annotated[
        Per | None,
        options.optional("--per", None, "With --method minimal: one factor for all nonlinearities, or one for each."),
    ] = None,
    task: options.Task = options.TaskName.classification,
    dtype: options.Dtype = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
) -> CommandResult:
    """Write a network as a difference of convex functions, and show where its multipliers K grow."""
    from tropica.cli.models import load_model

    points = read_points(data, subset.value, limit=limit, label=label, targets=task.value == "regression")
    net = load_model(model, points, weights, arg).to(device.torch)
    net = net.to(dtype.torch) if dtype else net
    settings = {"method": method.value, "task": task.value, "memory": memory, "per": per.value if per else None}
    found = tp.decompose(net, points, progress=True, **settings)
    certificate, f_minus = found.certificate, _f_minus_range(found, points)
    numbers = {
        "method": found.method,
        "task": task.value,
        "points": len(points),
        "dtype": str(found.net.dtype).removeprefix("torch."),
        "nonlinearities": [dataclasses.asdict(row) for row in found.summary().rows],
        "f_minus": f_minus,
        "passes": found.passes,
        "smallest_cotangent": found.smallest_cotangent,
        "factors": dict(found.factors),
        "certificate": None if certificate is None else certificate.to_dict(),
        "history": [step.to_json() for step in found.history],
        "network": found.net.fingerprint,
        "fingerprint": found.fingerprint,
    }
    return CommandResult(numbers, lambda: _show(found, f_minus))


def _show(found: tp.DCDecomposition, f_minus: Mapping[str, float]) -> None:
    print_table(
        f"The {found.method} decomposition, nonlinearities in forward order",
        ["nonlinearity", "module", "units", "largest K", "mean K", "K > 0"],
        [
            [r.nonlinearity, r.path, f"{r.units:,}", f"{r.largest:.3g}", f"{r.mean:.3g}", f"{r.share:.1%}"]
            for r in found.summary().rows
        ],
        numbers=4,
    )
    print_facts(
        {
            "F⁻ on the data": f"{f_minus['smallest']:.3g} … {f_minus['largest']:.3g}",
            "largest F⁻ / |logit|": f"{f_minus['ratio']:.3g}",
            "passes over the data": f"{found.passes:.1f}" if found.passes else "none: K comes from the weights",
            **_certificate(found),
        }
    )


def _f_minus_range(decomposition: tp.DCDecomposition, points: tp.LabelledData) -> dict[str, float]:
    """The smallest and the largest F⁻(x) over the points, and the largest F⁻(x) / max_i |N_i(x)|.

    Computing N_i as the difference F⁺_i − F⁻ loses about log10 of this ratio in decimal digits.
    """
    import torch

    from tropica.compare.batched import batched

    def values(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            largest_logit = decomposition.net(x).double().abs().amax(1).clamp(min=torch.finfo(torch.float64).tiny)
        f_minus = decomposition.f_minus(x)
        return torch.stack([f_minus, f_minus / largest_logit])

    f_minus, ratio = torch.cat(list(batched(values, decomposition.net, points, message="measuring F⁻", progress=True)), 1)
    return {"smallest": float(f_minus.min()), "largest": float(f_minus.max()), "ratio": float(ratio.max())}


def _certificate(decomposition: tp.DCDecomposition) -> dict[str, Any]:
    """The facts that certify Theorem 3.3 on the data, by name."""
    if decomposition.certificate is not None:
        factors = sorted(set(decomposition.factors.values())) or [0.0]
        size = f"{factors[0]:.4g}" if len(factors) == 1 else f"{factors[0]:.4g} … {factors[-1]:.4g}"
        return {"K / calibrated K": size, "certificate": decomposition.certificate}
    if decomposition.smallest_cotangent is None:
        return {"smallest cotangent": "not computed: the paper's decomposition has no negative cotangents"}
    smallest = f"{decomposition.smallest_cotangent:.2g} of the largest at its nonlinearity"
    return {"smallest cotangent": f"{smallest} (≥ 0 certifies Theorem 3.3)"}
