"""Registry of rules: each rule expresses an ATen op by affine ops and nonlinearities.

A rule is registered with the decorator :func:`op`. It is called with a :class:`~tropica.network.builder.Builder` and the op's
arguments: an activation is a :class:`~tropica.network.builder.Value`, a constant is a tensor, and a size that depends on
the batch is a :class:`~tropica.network.builder.BatchSize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""Rules by op name, ``packet.overload``."""

HEAD_OPS = {
    "aten.softmax.int": "softmax",
    "aten._softmax.default": "softmax",
    "aten.log_softmax.int": "log_softmax",
    "aten._log_softmax.default": "log_softmax",
    "aten.sigmoid.default": "sigmoid",
    "aten.log_sigmoid.default": "log_sigmoid",
}
"""Final ops that do not change the order of the scores, and the names in ``net.dropped``."""

NO_VALUE_OPS = (
    "aten._assert_tensor_metadata.default",
    "aten._assert_scalar.default",
    "aten.sym_constrain_range_for_size.default",
)
"""Assertions, which compute no value."""

COMPOSITES = (
    *("absolute", "multiply", "negative", "positive", "subtract", "divide", "true_divide", "diff", "tensordot", "softshrink"),
    *("ravel", "reshape_as", "view_as", "expand_as", "broadcast_to", "atleast_2d", "tile", "mT", "numpy_T"),
    *("moveaxis", "swapaxes", "swapdims", "fliplr", "flipud", "unsafe_chunk", "tensor_split", "hsplit", "vsplit"),
    *("column_stack", "dstack", "hstack", "vstack"),
)
"""Packet names of ops that torch decomposes into ops with rules."""


def op(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for ATen ops, named ``packet.overload`` ("linear.default")."""

    def register(rule: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"two rules for aten.{name}")
            RULES[name] = rule
        return rule

    return register


def aten(name: str) -> Callable[..., Any]:
    """The ATen op named ``packet.overload``."""
    packet, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def supported() -> list[str]:
    """Names of the supported ops in ``torch``, ``torch.Tensor`` and ``torch.nn.functional``.

    >>> from tropica.network.ops.registry import supported
    >>> "conv2d" in supported(), "gelu" in supported()
    (True, False)
    """
    public = {*dir(torch), *dir(torch.nn.functional), *dir(torch.Tensor)}
    names = {*(name.split(".")[0] for name in RULES), *COMPOSITES} & public
    hidden = {name for name in names if name.startswith(("_", "unsafe_", "native_", "new_")) or name.endswith("_with_indices")}
    return sorted(names - hidden | {"fold", "interpolate"})


_SMOOTH = "it is smooth, not piecewise linear"
_JUMPS = "it jumps where its input crosses a level, and a piecewise-linear network must be continuous"
_COMPARES = f"{_JUMPS}; write a choice by comparison as relu, leaky_relu, prelu, maximum, minimum, clamp or abs"
_NORMALIZES = (
    "it normalizes with the statistics of its own input, which is not piecewise linear; batch norm in eval mode, with "
    "running statistics, is affine"
)
RANDOM = "it draws random numbers"

REASONS: dict[str, str] = {
    **dict.fromkeys(("gelu", "silu", "mish", "softplus", "tanh", "exp", "log", "erf", "sin"), _SMOOTH),
    **dict.fromkeys(("cos", "sqrt", "rsqrt", "square", "logsumexp", "log_sigmoid"), _SMOOTH),
    **dict.fromkeys(("elu", "celu", "selu"), "it is curved where its input is negative, hence not piecewise linear"),
    "sigmoid": f"{_SMOOTH}; it is dropped only as the last op",
    **dict.fromkeys(
        ("softmax", "_softmax", "log_softmax", "_log_softmax"),
        f"{_SMOOTH}; it is dropped only as the last op, over all the outputs of a point. One softmax for each pixel keeps the "
        "order at the pixel alone: return the logits, or the pixel that is asked for",
    ),
    "hardswish": "it multiplies an activation by itself, which is piecewise quadratic",
    "glu": "it multiplies two activations",
    "reciprocal": "it divides by an activation",
    "scaled_dot_product_attention": "attention multiplies activations",
    **dict.fromkeys(("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "rms_norm"), _NORMALIZES),
    **dict.fromkeys(("var", "var_mean", "std", "std_mean"), "it squares its input, which is not piecewise linear"),
    **dict.fromkeys(("prod", "cumprod"), "it multiplies activations"),
    **dict.fromkeys(("addcdiv", "cosine_similarity"), "it divides by activations"),
    **dict.fromkeys(("_native_batch_norm_legit", "_native_batch_norm_legit_functional", "native_batch_norm"), _NORMALIZES),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), _COMPARES),
    **dict.fromkeys(
        ("sign", "sgn", "round", "floor", "ceil", "trunc", "frac", "fmod", "remainder", "heaviside", "hardshrink"), _JUMPS
    ),
    **dict.fromkeys(("argmax", "argmin", "argsort"), "it returns positions, which are not continuous; return the logits"),
    **dict.fromkeys(
        ("quantize_per_tensor", "fake_quantize_per_tensor_affine", "dequantize"), "it rounds, and jumps where it does"
    ),
    **dict.fromkeys(("rand", "randn", "rand_like", "randn_like", "randint", "bernoulli", "normal"), RANDOM),
    "embedding": "its index depends on the input, and an index jumps; embed by a constant index",
    **dict.fromkeys(("lstm", "gru"), "its gates multiply activations"),
}
"""Reason why an op has no rule, by packet name."""


def reason_for(packet: str) -> str:
    """Reason why an op has no rule."""
    return REASONS.get(packet, "it is not piecewise linear, or not known")
