"""The table of ops: ATen op name -> the function that writes it as affine ops and nonlinearities.

A row is made with the decorator :func:`op`, its function is called with a :class:`~tropica.network.builder.Builder` and
with the op's own arguments, where activations are :class:`~tropica.network.builder.Value`, constants are tensors, and
sizes that hold the batch are :class:`~tropica.network.builder.BatchSize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Rule = Callable[..., Any]

TABLE: dict[str, Rule] = {}

HEAD_OPS = {
    "aten.softmax.int": "softmax",
    "aten._softmax.default": "softmax",
    "aten.log_softmax.int": "log_softmax",
    "aten._log_softmax.default": "log_softmax",
    "aten.sigmoid.default": "sigmoid",
    "aten.log_sigmoid.default": "log_sigmoid",
}
"""Last ops that move no label, and the names under which they are dropped."""

NO_VALUE_OPS = (
    "aten._assert_tensor_metadata.default",
    "aten._assert_scalar.default",
    "aten.sym_constrain_range_for_size.default",
)
COMPOSITES = (
    *("absolute", "multiply", "negative", "positive", "subtract", "divide", "true_divide", "diff", "tensordot", "softshrink"),
    *("ravel", "reshape_as", "view_as", "expand_as", "broadcast_to", "atleast_2d", "tile", "mT", "numpy_T"),
    *("moveaxis", "swapaxes", "swapdims", "fliplr", "flipud", "unsafe_chunk", "tensor_split", "hsplit", "vsplit"),
    *("column_stack", "dstack", "hstack", "vstack"),
)
"""Ops, by packet name, that torch itself writes as ops of the table before they are looked up there."""


def op(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for ATen ops, given as ``packet.overload`` ("linear.default") without the ``aten.``."""

    def register(rule: Rule) -> Rule:
        for name in names:
            if name in TABLE:
                raise ValueError(f"two rows for aten.{name}")
            TABLE[name] = rule
        return rule

    return register


def aten(name: str) -> Callable[..., Any]:
    """The ATen op of a name in the table, ``packet.overload``."""
    packet, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def supported() -> list[str]:
    """Names of the ops that can be used, as ``torch``, its tensors and ``torch.nn.functional`` call them.

    >>> from tropica.network.table import supported
    >>> "conv2d" in supported(), "gelu" in supported()
    (True, False)
    """
    public = {*dir(torch), *dir(torch.nn.functional), *dir(torch.Tensor)}
    names = {*(name.split(".")[0] for name in TABLE), *COMPOSITES} & public
    hidden = {name for name in names if name.startswith(("_", "unsafe_", "native_", "new_")) or name.endswith("_with_indices")}
    return sorted(names - hidden | {"fold", "interpolate"})


_SMOOTH = "it is smooth, not piecewise linear"
_JUMPS = "it jumps where its input crosses a level, and a piecewise-linear network must be continuous"
_COMPARES = f"{_JUMPS}; write a choice by comparison as relu, leaky_relu, prelu, maximum, minimum, clamp or abs"
_NORMALIZES = (
    "it normalizes with the statistics of its own input, which is not piecewise linear; batch norm in eval mode, which uses "
    "running statistics, is"
)
RANDOM = "it draws random numbers"
_PER_POINT = "it needs one index for each point of the batch; index by constants"

REASONS: dict[str, str] = {
    **dict.fromkeys(("gelu", "silu", "mish", "elu", "celu", "selu", "softplus", "tanh", "exp", "log", "erf", "sin"), _SMOOTH),
    **dict.fromkeys(("cos", "sqrt", "rsqrt", "square", "pow", "logsumexp", "log_sigmoid", "norm"), _SMOOTH),
    "linalg_vector_norm": _SMOOTH,
    "sigmoid": f"{_SMOOTH}; it is dropped only as the last op of a network of one logit",
    **dict.fromkeys(
        ("softmax", "_softmax", "log_softmax", "_log_softmax"),
        f"{_SMOOTH}; it is dropped only as the last op, over the logits of (B, s)",
    ),
    "upsample_bicubic2d": "bicubic weights have both signs; use nearest or bilinear interpolation",
    "hardswish": "it multiplies an activation by itself, which is piecewise quadratic",
    "glu": "it multiplies two activations",
    "reciprocal": "it divides by an activation",
    "scaled_dot_product_attention": "attention multiplies activations",
    **dict.fromkeys(("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "rms_norm"), _NORMALIZES),
    **dict.fromkeys(("var", "var_mean", "std", "std_mean"), _NORMALIZES),
    **dict.fromkeys(("_native_batch_norm_legit", "_native_batch_norm_legit_functional", "native_batch_norm"), _NORMALIZES),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), _COMPARES),
    **dict.fromkeys(("sign", "sgn", "round", "floor", "ceil", "trunc", "heaviside", "hardshrink"), _JUMPS),
    **dict.fromkeys(("argmax", "argmin"), "it gives positions, which jump; return the logits"),
    **dict.fromkeys(("rand", "randn", "rand_like", "randn_like", "randint", "bernoulli", "normal"), RANDOM),
    **dict.fromkeys(("gather", "take_along_dim", "scatter", "embedding"), _PER_POINT),
    **dict.fromkeys(("lstm", "gru"), "its gates multiply activations"),
}
"""Why an op has no row, by packet name, where that can be said."""


def reason_for(packet: str) -> str:
    """Why the op has no row."""
    return REASONS.get(packet, "it is not piecewise linear, or not known")
