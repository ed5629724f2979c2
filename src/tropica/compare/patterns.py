"""Activation patterns of data: the number of distinct patterns and of distinct terms, and the agreement of paired points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from tropica.compare.batched import batched
from tropica.data.batches import Data, as_batches, count_points
from tropica.data.point_order import PointOrder
from tropica.errors import InputError
from tropica.network.batch_size import default_batch_size
from tropica.network.network import Floating, PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback, progress_callback

TERM_ROUNDING = 1e-9
"""The relative difference below which two terms count as equal; it is well above the rounding of float64."""


@own_settings()
def count_patterns(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    *,
    floating: Floating = "exact",
    progress: bool | ProgressCallback = False,
) -> int:
    """The number of distinct activation patterns (cells) of the points of the data.

    Args:
        net: the network, traced or not.
        data: the points (N, *input).
        floating: "exact" for the cells that the points lie in; "model" for what the network's own arithmetic in its dtype
            finds, rounding included (:meth:`PiecewiseLinearNetwork.activation_pattern`).
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: the data does not fit the network.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU(), torch.nn.Linear(1, 1)).eval()
    >>> count_patterns(model, torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]))
    2
    """
    net = _in_exact_dtype(as_network(net, data), floating)

    def patterns(x: Tensor) -> set[bytes]:
        return {row.tobytes() for row in net.activation_pattern(x, floating=floating).numpy()}

    met: set[bytes] = set()
    for of_batch in batched(patterns, net, data, message="counting patterns", progress=progress):
        met |= of_batch
    return len(met)


@own_settings()
def count_terms(net: PiecewiseLinearNetwork | torch.nn.Module, data: Data, *, progress: bool | ProgressCallback = False) -> int:
    """The number of distinct linear terms x ↦ ⟨w, x⟩ + β of the points of the data.

    The term of a point is the affine function, on its linear region, of the logit that gives its label. Terms are computed in
    float64 and compared up to rounding, together with the label. Points of one activation pattern share their term, except
    where one cell holds several labels.

    Args:
        net: the network, traced or not; it is evaluated in float64.
        data: the points (N, *input).
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: the data does not fit the network.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0]], [0.0]), ([[1.0]], [0.5])])  # relu(x) + ½, positive everywhere
    >>> count_terms(net, torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]))
    2
    """
    net = as_network(net, data).to(torch.float64)
    projections = list(batched(partial(_projections, net), net, data, message="counting terms", progress=progress))
    return _count_distinct(torch.cat(projections))


@own_settings()
def pattern_agreement(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    x: Data,
    y: Data,
    *,
    per_point: bool = False,
    floating: Floating = "exact",
    progress: bool | ProgressCallback = False,
) -> Tensor:
    """The share of units that take the same affine piece at x_k as at y_k, for each nonlinearity (Appendix E.5 of TropEx).

    ReLU units agree where both are active or both inactive; max-pooling windows agree where the same input attains the
    maximum.

    Args:
        net: the network, traced or not.
        x, y: equally many points (N, *input), paired, such as test points and their deciding points.
        per_point: return the share of each pair; by default the mean over pairs.
        floating: "exact", or "model" for the pieces that the network's own arithmetic in its dtype finds
            (:meth:`PiecewiseLinearNetwork.activation_pattern`).
        progress: True for a bar, or a function (done, total, message).

    Returns:
        (nonlinearities,) float64 in [0, 1] in the order of ``net.nonlinearities``, or (N, nonlinearities) with ``per_point``.
        A network without nonlinearities has no column.

    Raises:
        InputError: x and y differ in length, or do not fit the network.

    >>> import torch, tropica as tp
    >>> layer = torch.nn.Linear(1, 2)
    >>> _ = layer.weight.data.copy_(torch.tensor([[1.0], [1.0]])), layer.bias.data.copy_(torch.tensor([0.0, -2.0]))
    >>> model = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Linear(2, 2)).eval()
    >>> pattern_agreement(model, torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [1.0]]), per_point=True)
    tensor([[0.5000],
            [1.0000]], dtype=torch.float64)
    """
    net = _in_exact_dtype(as_network(net, x), floating)
    orders = {"x": PointOrder(), "y": PointOrder()}
    total, others = count_points(x, where="x", order=orders["x"]), count_points(y, where="y", order=orders["y"])
    if total != others:
        raise InputError(f"points are compared in pairs: {total} points in x do not pair with {others} in y")
    shares: list[Tensor] = []
    done = 0
    with progress_callback(progress) as report:
        for a, b in zip(_equal_batches(net, x, "x", orders), _equal_batches(net, y, "y", orders), strict=True):
            shares.append(_shared_pieces(net, a, b, floating))
            done += len(a)
            if report:
                report(done, total, "comparing patterns")
    found = torch.cat(shares).cpu()
    return found if per_point else found.mean(0)


def _in_exact_dtype(net: PiecewiseLinearNetwork, floating: Floating) -> PiecewiseLinearNetwork:
    """The network in float64 for exact patterns, which takes points of any dtype as they are; else as it is."""
    return net.to(torch.float64) if floating == "exact" else net


def _projections(net: PiecewiseLinearNetwork, x: Tensor) -> Tensor:
    """For each point: its label, two random projections of its term (w, β), and the term's size (B, 4)."""
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
    # β = N(x) − ⟨w, x⟩ has the absolute error of ⟨w, x⟩.
    size = weight.norm(dim=1) * (1 + x.flatten(1).norm(dim=1)) + bias.abs()
    projected = torch.cat([weight, bias[:, None]], 1) @ directions.T
    return torch.cat([labels[:, None].double(), projected, size[:, None]], 1).cpu()


def _count_distinct(projections: Tensor) -> int:
    """The number of rows that differ by more than rounding: groups of one label are divided at gaps in each projection."""
    group = projections[:, 0].long()
    for column in (1, 2):
        order = torch.argsort(projections[:, column], stable=True)
        order = order[torch.argsort(group[order], stable=True)]
        value, size = projections[order, column], projections[order, 3]
        starts = torch.zeros(len(order), dtype=torch.long)
        gap = torch.diff(value) > TERM_ROUNDING * torch.maximum(size[1:], size[:-1])
        starts[1:] = gap | (torch.diff(group[order]) != 0)
        group[order] = starts.cumsum(0)
    return len(torch.unique(group))


def _equal_batches(net: PiecewiseLinearNetwork, data: Data, where: str, orders: Mapping[str, PointOrder]) -> Iterator[Tensor]:
    """Batches of one fixed size, the last one excepted, so that the batches of two sources pair."""
    size = default_batch_size(net)
    waiting: list[Tensor] = []
    count = 0
    like = {"dtype": net.dtype, "device": net.device, "shape": net.input_shape}
    for batch in as_batches(data, size, **like, where=where, order=orders[where]):
        waiting.append(batch)
        count += len(batch)
        while count >= size:
            points = waiting[0] if len(waiting) == 1 else torch.cat(waiting)
            yield points[:size]
            waiting, count = ([points[size:]], count - size) if count > size else ([], 0)
    if count:
        yield torch.cat(waiting)


def _shared_pieces(net: PiecewiseLinearNetwork, x: Tensor, y: Tensor, floating: Floating) -> Tensor:
    """The share of units with equal pieces (B, nonlinearities)."""
    pairs = zip(net.active_pieces(x, floating=floating), net.active_pieces(y, floating=floating), strict=True)
    columns = [(one == other).reshape(len(x), node.units).double().mean(1) for (node, one, _), (_, other, _) in pairs]
    return torch.stack(columns, 1) if columns else torch.zeros(len(x), 0, dtype=torch.float64)
