"""How large F⁻ is beside the network's own outputs: what a decomposition costs in digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tropica.data.batches import Data, as_batches, count_points
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.network.batch_size import default_batch_size
from tropica.runtime.progress import progress_callback


@dataclass(frozen=True)
class PotentialSizes:
    """Over a set of points: the smallest and the largest F⁻(x), and the largest F⁻(x) / max_i |N_i(x)|.

    Where N_i = F⁺_i − F⁻ is computed as this difference, as many digits are lost as the last one has.
    """

    smallest: float
    largest: float
    ratio: float


def potential_sizes(decomposition: DCDecomposition, data: Data, *, progress: Any = False) -> PotentialSizes:
    """Measure F⁻ on a data set, batch by batch.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(100, 4)
    >>> sizes = potential_sizes(tp.decompose(model, x), x)
    >>> 0 <= sizes.smallest <= sizes.largest
    True
    """
    net = decomposition.net
    low, high, ratio, done = float("inf"), -float("inf"), 0.0, 0
    with progress_callback(progress) as report:
        total = count_points(data)
        for x in as_batches(data, default_batch_size(net), dtype=net.dtype, device=net.device, shape=net.input_shape):
            values = decomposition.f_minus(x)
            with torch.no_grad():
                logits = net(x).double().abs().amax(1)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            ratio = max(ratio, float((values / logits.clamp(min=torch.finfo(torch.float64).tiny)).max()))
            done += len(x)
            if report:
                report(done, total, "measuring F⁻")
    return PotentialSizes(low, high, ratio)
