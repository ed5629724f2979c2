"""``tp.pattern_agreement``: how much of their activation pattern paired points share (the paper's Appendix E.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.errors import InputError
from tropica.network.batch_size import default_batch_size
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.progress import progress_callback


def pattern_agreement(
    net: PiecewiseLinearNetwork | torch.nn.Module, x: Data, y: Data, *, per_point: bool = False, progress: Any = False
) -> Tensor:
    """The share of units that take the same affine piece at x_k as at y_k, for each nonlinearity (a layer's activation, or a pool).

    For ReLU units: both active or both inactive; for max-pooling: the same place of the window wins. It is read off in the
    network's dtype, as the network itself decides.

    Args:
        net: the network, traced or not.
        x, y: as many points each (N, *input), paired: such as test points and the training points that decide them.
        per_point: give the share of each pair; by default their mean.
        progress: True for a bar, or a function (done, total, message).

    Returns:
        (nonlinearities,) float64 in [0, 1] in the order of ``net.nonlinearities``, or (N, nonlinearities) with ``per_point``. A network without nonlinearities
        gives no column.

    Raises:
        InputError: not as many points, or data that does not fit the network.

    >>> import torch, tropica as tp
    >>> layer = torch.nn.Linear(1, 2)
    >>> _ = layer.weight.data.copy_(torch.tensor([[1.0], [1.0]])), layer.bias.data.copy_(torch.tensor([0.0, -2.0]))
    >>> model = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Linear(2, 2)).eval()
    >>> pattern_agreement(model, torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [1.0]]), per_point=True)
    tensor([[0.5000],
            [1.0000]], dtype=torch.float64)
    """
    net = as_network(net, x)
    total, others = count_points(x, where="x"), count_points(y, where="y")
    if total != others:
        raise InputError(f"points are compared in pairs: {total} points in x do not pair with {others} in y")
    size = default_batch_size(net)
    shares: list[Tensor] = []
    done = 0
    with progress_callback(progress) as report:
        sides = (_rows(data, size, net, where) for data, where in ((x, "x"), (y, "y")))
        for one, other in zip(*sides, strict=True):
            shares.append(_shares(net, one, other))
            done += len(one)
            if report:
                report(done, total, "comparing patterns")
    found = torch.cat(shares).cpu()
    return found if per_point else found.mean(0)


def _rows(data: Data, size: int, net: PiecewiseLinearNetwork, where: str) -> Iterator[Tensor]:
    """Batches of exactly ``size`` points but for the last, so that those of two sources pair."""
    waiting: list[Tensor] = []
    count = 0
    for batch in as_batches(data, size, dtype=net.dtype, device=net.device, shape=net.input_shape, where=where):
        waiting.append(batch)
        count += len(batch)
        while count >= size:
            whole = waiting[0] if len(waiting) == 1 else torch.cat(waiting)
            yield whole[:size]
            waiting, count = ([whole[size:]], count - size) if count > size else ([], 0)
    if count:
        yield torch.cat(waiting)


def _shares(net: PiecewiseLinearNetwork, x: Tensor, y: Tensor) -> Tensor:
    """(B, nonlinearities): the means of equal choices."""
    pairs = zip(net.active_pieces(x), net.active_pieces(y), strict=True)
    columns = [(one == other).flatten(1).double().mean(1) for (_, one, _), (_, other, _) in pairs]
    return torch.stack(columns, 1) if columns else torch.zeros(len(x), 0, dtype=torch.float64)
