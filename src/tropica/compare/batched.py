"""A function of a network's inputs, evaluated batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.data.point_order import PointOrder
from tropica.data.sources import Observer
from tropica.network.batch_size import default_batch_size
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.progress import ProgressCallback, progress_callback

T = TypeVar("T")


def batched(
    function: Callable[[Tensor], T],
    net: PiecewiseLinearNetwork,
    data: Data,
    *,
    message: str,
    progress: bool | ProgressCallback = False,
    where: str = "data",
    observer: Observer | None = None,
) -> Iterator[T]:
    """Evaluate a function on each batch of the data. One result at a time is in memory.

    Args:
        function: takes points (B, *input) in the network's dtype and on its device.
        net: the traced network; its size decides the batch size.
        data: the points (N, *input).
        message: the name of the work in the progress bar.
        progress: True for a bar, or a function (done, total, message).
        where: the name of the data in error messages.
        observer: as in :func:`tropica.data.batches.as_batches`.

    Yields:
        The results, one for each batch, in the order of the data.
    """
    order = PointOrder()
    done, total = 0, count_points(data, where=where, order=order)
    like = {"dtype": net.dtype, "device": net.device, "shape": net.input_shape}
    batches = as_batches(data, default_batch_size(net), **like, where=where, order=order, observer=observer)
    with progress_callback(progress) as report:
        for x in batches:
            yield function(x)
            done += len(x)
            if report:
                report(done, total, message)


def predicted_labels(
    net: PiecewiseLinearNetwork, data: Data, *, where: str = "points", observer: Observer | None = None
) -> Tensor:
    """The network's labels of all points, on the CPU.

    >>> import tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False)).eval()
    >>> _ = model[0].weight.data.copy_(torch.eye(2))
    >>> predicted_labels(tp.trace(model, torch.zeros(2, 2)), torch.tensor([[3.0, 1.0], [0.0, 1.0]]))
    tensor([0, 1])
    """
    about = {"message": "labels of the network", "where": where, "observer": observer}
    return torch.cat(list(batched(lambda x: net.predict(x).cpu(), net, data, **about)))
