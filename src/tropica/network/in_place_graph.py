"""In-place ops of an exported graph replaced by out-of-place ones, where no view of the written tensor is alive.

``torch.export`` does the same for any graph by tracing it once more, which takes as long as the export itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Graph, Node

_FRESH = frozenset(
    (
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution"),
        *("linear", "addmm", "matmul", "mm", "bmm", "batch_norm", "add", "sub", "mul", "div", "neg", "abs", "rsub"),
        *("relu", "leaky_relu", "prelu", "hardtanh", "relu6", "hardsigmoid", "clamp", "clamp_min", "clamp_max"),
        *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "cat", "stack", "clone"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "mean", "amax", "maximum", "minimum"),
    )
)
"""Ops whose result shares no memory with their arguments."""
_SIZES = ("sym_size",)


def make_out_of_place(graph: Graph, known: Callable[[Any], bool]) -> None:
    """Replace in-place ops by their out-of-place forms.

    An op stays as it is if its out-of-place form is not ``known``, or if the tensor that it writes to may share memory.
    """
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        form = _out_of_place(node.target)
        if form is None or not known(form) or not node.args or not isinstance(node.args[0], Node):
            continue
        written = node.args[0]
        readers = [user for user in written.users if user is not node]
        later = [user for user in readers if order[user] > order[node]]
        if _packet(written) not in _FRESH or not all(_only_reads(user) or user in later for user in readers):
            continue
        if not all(_only_reads(user) or _out_of_place(user.target) for user in later):
            continue
        with graph.inserting_before(node):
            new = graph.call_function(form, node.args, node.kwargs)
        new.meta = dict(node.meta)
        order[new] = order[node]
        node.replace_all_uses_with(new)
        graph.erase_node(node)
        for user in later:
            user.replace_input_with(written, new)


def _only_reads(node: Node) -> bool:
    """Whether a node's result shares no memory with its arguments, and it writes to none of them."""
    return _packet(node) in (*_FRESH, *_SIZES)


def _packet(node: Node) -> str:
    """The ATen op of a node without its overload."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return ""
    return str(node.target).removeprefix("aten.").split(".")[0]


def _out_of_place(target: Any) -> Any:
    """The out-of-place form of an in-place ATen op, or None."""
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return None
    packet, overload = str(target).removeprefix("aten.").split(".")
    if not packet.endswith("_") or packet.startswith("_"):
        return None
    form = getattr(torch.ops.aten, packet.removesuffix("_"), None)
    return getattr(form, overload, None)
