"""``tp.count_patterns``: how many different regions the points of some data lie in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.errors import InputError
from tropica.network.batch_size import default_batch_size
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.progress import progress_callback

WAYS = ("pattern", "term")
SAME = 1e-9
"""Terms that differ by less of their size than this are one: the rounding of float64, with room."""


def count_patterns(
    net: PiecewiseLinearNetwork | torch.nn.Module, data: Data, *, by: str = "pattern", progress: Any = False
) -> int:
    """The number of different regions that the points of the data meet: exact for these points, not an estimate.

    Args:
        net: the network, traced or not.
        data: the points (N, *input).
        by: "pattern" counts activation patterns, the cells; "term" counts the affine functions x ↦ ⟨w, x⟩ + β that gave the
            points their labels, in float64 and up to rounding. Points of one pattern share their term, so there are never
            more terms than patterns, but for points of one cell with several labels.
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: another ``by``, or data that does not fit.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU(), torch.nn.Linear(1, 1)).eval()
    >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    >>> count_patterns(model, x), count_patterns(model, x, by="pattern")
    (2, 2)
    """
    if by not in WAYS:
        raise InputError(f"regions are counted by {' or '.join(map(repr, WAYS))}, not by {by!r}")
    net = as_network(net, data).to(torch.float64)
    size = default_batch_size(net)
    patterns: set[bytes] = set()
    terms: list[Tensor] = []
    done, total = 0, count_points(data)
    with progress_callback(progress) as report:
        for batch in as_batches(data, size, dtype=net.dtype, device=net.device, shape=net.input_shape):
            if by == "pattern":
                patterns.update(row.tobytes() for row in net.activation_pattern(batch).numpy())
            else:
                terms.append(_terms(net, batch))
            done += len(batch)
            if report:
                report(done, total, "counting regions")
    return len(patterns) if by == "pattern" else _distinct(torch.cat(terms))


def _terms(net: PiecewiseLinearNetwork, x: Tensor) -> Tensor:
    """Label, two random projections of (w, β), and the size of w and β, for each point: (B, 4)."""
    local, labels = net.local_map(x), net.predict(x)
    weight, bias = local.weight.flatten(2), local.bias
    if net.num_outputs == 1:  # the term of label 0 is −z
        sign = (2 * labels - 1).double()
        weight, bias = weight[:, 0] * sign[:, None], bias[:, 0] * sign
    else:
        rows = torch.arange(len(x), device=x.device)
        weight, bias = weight[rows, labels], bias[rows, labels]
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2, weight.shape[1] + 1, generator=generator, dtype=torch.float64).to(x.device)
    # A term's constant is only as exact as w at the point.
    reach = weight.norm(dim=1) * (1 + x.flatten(1).norm(dim=1)) + bias.abs()
    both = torch.cat([weight, bias[:, None]], 1) @ directions.T
    return torch.cat([labels[:, None].double(), both, reach[:, None]], 1).cpu()


def _distinct(terms: Tensor) -> int:
    """How many rows differ by more than rounding."""
    group = terms[:, 0].long()
    for column in (1, 2):
        order = torch.argsort(terms[:, column], stable=True)
        order = order[torch.argsort(group[order], stable=True)]
        value, size = terms[order, column], terms[order, 3]
        new = torch.zeros(len(order), dtype=torch.long)
        new[1:] = (torch.diff(value) > SAME * torch.maximum(size[1:], size[:-1])) | (torch.diff(group[order]) != 0)
        group[order] = new.cumsum(0)
    return len(torch.unique(group))
