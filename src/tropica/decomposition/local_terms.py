"""``tp.local_terms``: the network's own affine function on the linear region of each point, without a decomposition."""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.data.batches import Data
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extract import extract
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback
from tropica.terms.linear_terms import AffineTerms


@own_settings()
def local_terms(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    *,
    batch_size: int | None = None,
    progress: bool | ProgressCallback = False,
) -> tuple[AffineTerms, Tensor]:
    """Compute the affine function of each point's predicted output on the linear region of the point.

    For x_k with predicted label i these are a_k = ∇N_i(x_k) and N_i(x_k) − ⟨a_k, x_k⟩. They equal ``LinearTerms.local`` of any
    decomposition, because a_k = a⁺_k − a⁻_k does not depend on it.

    Args:
        net: a traced network, or a module in eval mode.
        data: D points.
        batch_size: points in one batch.
        progress: True for a bar, or a function (done, total, message).

    Returns:
        The terms, with weights (D, \\*input_shape) and biases (D,), and the labels (D,) that the network gives the points.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> terms, labels = tp.local_terms(model, torch.randn(10, 4))
    >>> terms.weight.shape, labels.shape
    (torch.Size([10, 4]), torch.Size([10]))
    """
    traced = as_network(net, data)
    terms = extract(traced, data, DCDecomposition(traced, "none", {}), check="none", batch_size=batch_size, progress=progress)
    return terms.local, terms.labels
