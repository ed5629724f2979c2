"""``tropica decompose``."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Annotated, Optional

import typer

from tropica.cli.models import ModelChoice
from tropica.cli.options import (
    Args,
    Data,
    DataSplit,
    HowSplit,
    Json,
    Limit,
    Memory,
    Method,
    Model,
    Precision,
    Split,
    Weights,
)
from tropica.cli.output import checked, save_json, show_facts, show_table
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.decompose import decompose as make_decomposition
from tropica.runtime.memory import in_bytes, peak_memory, size_text
from tropica.studies.datasets.load import load_data
from tropica.studies.experiments.sizes import potential_sizes


class Per(StrEnum):
    """What has a factor of its own in the minimal decomposition."""

    network = "network"
    nonlinearity = "nonlinearity"


def decompose(
    model: Model,
    data: Data,
    weights: Weights = None,
    arg: Args = None,
    data_split: DataSplit = Split.train,
    limit: Limit = None,
    method: HowSplit = Method.calibrated,
    dtype: Precision = None,
    per: Annotated[
        Optional[Per],  # noqa: UP045
        typer.Option(
            "--per", help="With --method minimal: one factor for all nonlinearities, or one for each.", show_default=False
        ),
    ] = None,
    memory: Memory = None,
    json: Json = None,
) -> None:
    """Split a network into a difference of convex functions, and show where the decomposition grows.

    N = F⁺ − F⁻ with F⁻ = c⁻ + Σ ⟨K, h⟩ over the nonlinearity outputs h. Large K cost digits: of F⁻ / |logit| = 1e7 float32 keeps none.
    """
    checked(json)
    room = None if memory is None else in_bytes(memory)
    points = load_data(data, split=data_split.value, limit=limit)
    net = ModelChoice(model, weights, arg or ()).network(points)
    net = net.to(dtype.torch) if dtype else net
    made = make_decomposition(net, points, method=method.value, memory=room, per=(per or Per.network).value, progress=True)
    sizes = potential_sizes(made, points, progress=True)
    growth = made.summary().rows
    rows = [[r.nonlinearity, r.path, f"{r.units:,}", f"{r.largest:.3g}", f"{r.mean:.3g}", f"{r.share:.1%}"] for r in growth]
    headings = ["nonlinearity", "module", "units", "largest K", "mean K", "K > 0"]
    show_table(f"The {made.method} split, nonlinearities in forward order", headings, rows, numbers=4)
    show_facts(
        {
            "F⁻ on the data": f"{sizes.smallest:.3g} … {sizes.largest:.3g}",
            "largest F⁻ / |logit|": f"{sizes.ratio:.3g}",
            "passes over the data": f"{made.passes:.1f}" if made.passes else "none: K comes from the weights alone",
            **_checked(made),
            "peak memory": size_text(peak_memory()),
        }
    )
    numbers = {
        "method": made.method,
        "points": len(points),
        "dtype": str(made.net.dtype).removeprefix("torch."),
        "nonlinearities": [dataclasses.asdict(row) for row in growth],
        "potential": dataclasses.asdict(sizes),
        "passes": made.passes,
        "smallest_cotangent": made.smallest_cotangent,
        "factors": dict(made.factors),
        "pairs": None if made.pairs is None else {**dataclasses.asdict(made.pairs), "holds": made.pairs.holds},
        "history": list(made.history),
        "network": made.net.fingerprint,
        "fingerprint": made.fingerprint,
    }
    save_json(json, "decomposition", numbers)


def _checked(made: DCDecomposition) -> dict[str, str]:
    """What certifies Theorem 3.3 on the data."""
    if made.pairs is not None:
        factors = sorted(set(made.factors.values())) or [0.0]
        size = f"{factors[0]:.4g}" if len(factors) == 1 else f"{factors[0]:.4g} … {factors[-1]:.4g}"
        return {"K / calibrated K": size, "certificate": str(made.pairs)}
    if made.smallest_cotangent is None:
        return {"smallest cotangent": "not looked at: the paper's decomposition is nonnegative by construction"}
    return {
        "smallest cotangent": f"{made.smallest_cotangent:.2g} of the largest at its nonlinearity (≥ 0 certifies Theorem 3.3)"
    }
