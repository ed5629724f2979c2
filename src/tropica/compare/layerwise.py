"""``tp.layerwise``: accuracy and agreement as layer after layer is merged into an extracted function (Figure 3 of TropEx)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.agreement import network_and_true_labels
from tropica.data.batches import Data
from tropica.decomposition.prepare import check_method, inner_points
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.batch_size import default_batch_size
from tropica.network.graph import INPUT, AffineNode, Node
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback, progress_callback

if TYPE_CHECKING:
    from pandas import DataFrame

LAYERS = ("linear", "conv", "mm", "matmul", "einsum", "pool")
"""Parts of the names of ops that are layers; activations, norms and reshapes are merged with the layer before them."""


@dataclass(frozen=True)
class LayerRow:
    """The function that merges the layers behind one tensor.

    Attributes:
        merged: the number of merged layers; 0 is the network itself.
        layer: the layer that was merged last; "" for the network itself.
        at: the tensor that the merged function takes, a name for ``net.cut`` and ``tp.extract(at=)``; "input" when all layers
            are merged.
        agreement: the share of points with the network's label.
        accuracy: the share of points with the true label; None without true labels.
    """

    merged: int
    layer: str
    at: str
    agreement: float
    accuracy: float | None


@dataclass(frozen=True, repr=False)
class Layerwise(HtmlRepr):
    """Accuracy and agreement by merged layers.

    Attributes:
        rows: the network itself, then one row for each further merged layer.
        method: the method of the DC decomposition.
        terms, points: the numbers of training points and of test points.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> tp.layerwise(net, x, x).to_dataframe()[["at", "agreement"]].values.tolist()
    [['output', 1.0], ['relu0', 1.0], ['input', 1.0]]
    """

    rows: tuple[LayerRow, ...]
    method: str
    terms: int
    points: int

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each number of merged layers."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows])

    def __repr__(self) -> str:
        last = self.rows[-1]
        accuracy = "" if last.accuracy is None else f", accuracy {self.rows[0].accuracy:.1%} → {last.accuracy:.1%}"
        return f"Layerwise({len(self.rows) - 1} layers merged: agreement {last.agreement:.1%}{accuracy})"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False)


@own_settings()
def layerwise(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    *,
    at: Sequence[str] | None = None,
    decomposition: str = "calibrated",
    memory: int | None = None,
    progress: bool | ProgressCallback = False,
) -> Layerwise:
    """Merge layer after layer, from the output on, into an extracted function, and compare each with the network (Figure 3).

    For a tensor z = head(x) inside the network, N = tail ∘ head. The function tail^(Z) is extracted at Z, the training points'
    values of z, and x gets the label tail^(Z)(head(x)). With all layers merged it is N^(X)(x).

    Args:
        net: the network, traced or not.
        data: the training points.
        x: the points (B, *input).
        y: the true labels (B,); by default the labels that come with x, if any.
        at: the tensors to cut at: module paths (``"features.3"``: its output), or names of nodes or nonlinearities
            (``net.nonlinearities``), as for ``tp.extract(at=)`` and ``net.cut``, in any order. A tensor must lie on every path
            from the input to the output. By default one before each linear, convolution and pooling layer where the network
            can be cut; inside a residual block it cannot. All layers merged come last in either case.
        decomposition: the method, "calibrated", "minimal" or "paper"; each part of the network has its own decomposition.
        memory: bytes to work in, as for :class:`tropica.ExtractedFunction`.
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: the network cannot be cut at a tensor, or points, labels and network do not fit each other.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> [(row.layer, row.at, row.agreement) for row in tp.layerwise(model, x, x).rows]
    [('', 'output', 1.0), ('2', 'relu', 1.0), ('0', 'input', 1.0)]
    """
    if not isinstance(decomposition, str):
        raise InputError('decomposition must be the name of a method: each part of the network has its own, as "calibrated"')
    check_method(decomposition)
    net = as_network(net, data)
    cuts = list(_given_cuts(net, at) if at is not None else layer_cuts(net))
    network, true = network_and_true_labels(net, x, y)
    rows = [LayerRow(0, "", "output", 1.0, None if true is None else _share(network == true))]
    terms = 0
    with progress_callback(progress) as report:
        for merged, (layer, name) in enumerate(cuts, start=1):
            head, tail = (None, net) if name == INPUT else net.cut(name)
            size = default_batch_size(net)
            inner, test = (source if head is None else inner_points(head, source, size) for source in (data, x))
            quiet = report or False
            f = ExtractedFunction.streaming(tail, inner, decomposition, memory=memory, progress=quiet)
            labels = f.predict(test, progress=quiet)
            accuracy = None if true is None else _share(labels == true)
            rows.append(LayerRow(merged, layer, name, _share(labels == network), accuracy))
            terms = f.source.num_terms
    return Layerwise(tuple(rows), decomposition, terms, len(network))


def layer_cuts(net: PiecewiseLinearNetwork) -> Iterator[tuple[str, str]]:
    """The layers of a network in the order in which they are merged, the last first, each with the tensor in front of it.

    Layers that cannot be cut off, such as those inside a residual block, are merged with the next one in front of them.
    """
    layers = [node for node in net.graph.nodes if _is_layer(node)] or list(net.graph.nodes[:1])
    waiting = ""
    for node in reversed(layers[1:]):
        waiting = waiting or node.origin.path or node.name
        if node.inputs[0] != INPUT and _can_cut(net, node.inputs[0]):
            yield waiting, node.inputs[0]
            waiting = ""
    first = layers[0].origin.path or layers[0].name
    yield f"{first} to {waiting}" if waiting else first, INPUT


def _given_cuts(net: PiecewiseLinearNetwork, at: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The given tensors, from the output to the input, and the input; the layer of each is what lies behind it."""
    if isinstance(at, str) or not all(isinstance(name, str) for name in at):
        raise InputError('at must be a sequence of names of tensors, such as ["features.3"]')
    place = {name: i for i, name in enumerate(net.graph.names)}
    found = sorted({net.find(name): name for name in at}.items(), key=lambda pair: -place[pair[0]])
    for name, given in found:
        net.cut(name)  # refused before anything is extracted
        yield f"behind {given}", name
    yield "all", INPUT


def _is_layer(node: Node) -> bool:
    """Whether a node is a layer: it has weights, or pools."""
    named = any(part in node.origin.op for part in LAYERS)
    return named and (not isinstance(node, AffineNode) or node.weighted or "pool" in node.origin.op)


def _can_cut(net: PiecewiseLinearNetwork, name: str) -> bool:
    try:
        net.cut(name)
    except InputError:
        return False
    return True


def _share(equal: Tensor) -> float:
    return float(equal.double().mean())
