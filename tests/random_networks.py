"""Hypothesis strategies for whole networks: sequences, residual sums, concatenations, two-branch DAGs of small layers.

    @given(random_networks())
    def test(network): model, input_shape = network

Simple choices come first everywhere (no layer, ReLU, one feature, seed 0): a failure shrinks to few small layers.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

import torch
from hypothesis import strategies as st
from torch import nn

from tests.network_modules import (
    Apply,
    Join,
    Residual,
    Shape,
    WithConstant,
    build,
    join_cat,
    negate_some_gammas,
    output_shape,
    prelu,
)

Draw = st.DrawFn
Step = Callable[[Draw, Shape], nn.Module]
Network = tuple[nn.Module, Shape]

VECTORS = st.tuples(st.integers(1, 5))
IMAGES = st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(2, 6))
SEEDS = st.integers(0, 2**16 - 1)


@st.composite
def random_networks(draw: Draw) -> Network:
    """(model in eval mode, input_shape): any of the steps below, ending in 1 to 4 logits."""
    shape = draw(VECTORS | IMAGES)
    with torch.random.fork_rng(devices=[]):
        body = _steps(draw, shape, most=4, nested=True)
        flat = nn.Sequential(*body, nn.Flatten())
        neck = _steps(draw, output_shape(flat, shape), most=2, nested=len(shape) == 1)
        model = _with_logits([*flat, *neck], shape, draw(st.integers(1, 4)))
    changes = [negate_some_gammas] if draw(st.booleans()) else []
    return build(lambda: model, draw(SEEDS), *changes), shape


@st.composite
def random_sequential31(draw: Draw) -> tuple[nn.Sequential, Shape]:
    """(model, input_shape): a Sequential that `tests.oracles.algorithm31` covers, ending in 2 to 4 logits."""
    shape = draw(VECTORS | IMAGES)
    with torch.random.fork_rng(devices=[]):
        body: list[nn.Module] = []
        if len(shape) == 3:
            body += [*_sequence(draw, shape, TABLE1_IMAGE_STEPS, most=4), nn.Flatten()]
        body += _sequence(draw, output_shape(nn.Sequential(*body), shape), TABLE1_VECTOR_STEPS, most=4)
        model = _with_logits(body, shape, draw(st.integers(2, 4)))
    build(lambda: model, draw(SEEDS))
    return model, shape


def _with_logits(body: list[nn.Module], shape: Shape, logits: int) -> nn.Sequential:
    features = output_shape(nn.Sequential(*body), shape)
    return nn.Sequential(*body, nn.Linear(prod(features), logits))


def _steps(draw: Draw, shape: Shape, most: int, nested: bool) -> list[nn.Module]:
    """Up to `most` steps on data of this shape, one in three of them with branches where `nested`."""
    steps = VECTOR_STEPS if len(shape) == 1 else IMAGE_STEPS
    branchings = BRANCHINGS * (len(steps) // (2 * len(BRANCHINGS)))
    return _sequence(draw, shape, steps + branchings if nested else steps, most)


def _sequence(draw: Draw, shape: Shape, steps: list[Step], most: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, most))):
        layer = draw(st.sampled_from(steps))(draw, shape)
        shape = output_shape(layer, shape)
        layers.append(layer)
    return layers


def _branch(draw: Draw, shape: Shape) -> nn.Module:
    """Up to two steps, then back to `shape` by a linear map."""
    layers = _steps(draw, shape, most=2, nested=False)
    here = output_shape(nn.Sequential(*layers), shape)
    if len(shape) == 1:
        return nn.Sequential(*layers, nn.Linear(here[0], shape[0]))
    resize = [nn.Upsample(size=shape[1:])] if here[1:] != shape[1:] else []
    return nn.Sequential(*layers, *resize, nn.Conv2d(here[0], shape[0], 1))


def _residual(draw: Draw, shape: Shape) -> nn.Module:
    return Residual(_branch(draw, shape))


def _concatenation(draw: Draw, shape: Shape) -> nn.Module:
    return join_cat(nn.Identity(), _branch(draw, shape))


def _two_branches(draw: Draw, shape: Shape) -> nn.Module:
    name, combine = draw(st.sampled_from(COMBINE))
    return Join(name, lambda parts: combine(*parts), _branch(draw, shape), _branch(draw, shape))


COMBINE: list[tuple[str, Callable]] = [
    ("sub", torch.sub),
    ("maximum", torch.maximum),
    ("minimum", torch.minimum),
    ("stack_amax", lambda a, b: torch.stack([a, b]).amax(0)),
]
BRANCHINGS: list[Step] = [_residual, _concatenation, _two_branches]


def _module(make: Callable[..., nn.Module], *arguments: st.SearchStrategy) -> Step:
    """A step that ignores the shape."""
    return lambda draw, shape: make(*(draw(argument) for argument in arguments))


def _function(name: str, function: Callable) -> Step:
    return lambda draw, shape: Apply(name, function)


def _constant(name: str, function: Callable) -> Step:
    """A step with a random constant for each feature or channel."""
    return lambda draw, shape: WithConstant(name, function, (shape[0],) + (1,) * (len(shape) - 1))


def _linear(draw: Draw, shape: Shape) -> nn.Module:
    return nn.Linear(shape[0], draw(st.integers(1, 6)), bias=draw(st.sampled_from([True, False])))


def _prelu(draw: Draw, shape: Shape) -> nn.Module:
    return prelu(*draw(st.lists(st.sampled_from([0.25, 0.0, 1.0, -0.5, 1.5]), min_size=shape[0], max_size=shape[0])))


def _batch_norm(draw: Draw, shape: Shape) -> nn.Module:
    return (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(shape[0])


def _kernel(draw: Draw, shape: Shape) -> tuple[int, int]:
    """Up to 3x3, within the image."""
    return draw(st.integers(1, min(3, shape[1]))), draw(st.integers(1, min(3, shape[2])))


def _conv(draw: Draw, shape: Shape) -> nn.Module:
    """With groups; either 'same' with dilation, or with strides and padding."""
    kernel = _kernel(draw, shape)
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0]))
    outputs, bias = groups * draw(st.integers(1, 3 // groups)), draw(st.sampled_from([True, False]))
    if draw(st.booleans()):
        return nn.Conv2d(shape[0], outputs, kernel, padding="same", dilation=draw(_PAIRS), groups=groups, bias=bias)
    return nn.Conv2d(shape[0], outputs, kernel, draw(_PAIRS), draw(_PADDINGS), groups=groups, bias=bias)


def _padded_conv(draw: Draw, shape: Shape) -> nn.Module:
    modes: list[Literal["circular", "replicate", "reflect"]] = ["circular", "replicate"]
    if min(shape[1:]) > 1:  # reflection needs at least two rows
        modes.append("reflect")
    return nn.Conv2d(shape[0], draw(st.integers(1, 3)), 3, padding=1, padding_mode=draw(st.sampled_from(modes)))


def _transposed_conv(draw: Draw, shape: Shape) -> nn.Module:
    stride = 1 if max(shape[1:]) > 4 else draw(st.integers(1, 2))
    return nn.ConvTranspose2d(shape[0], draw(st.integers(1, 3)), draw(st.integers(1, 2)), stride)


def _max_pool(draw: Draw, shape: Shape) -> nn.Module:
    kernel = _kernel(draw, shape)
    padding = draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))
    widest = [2 if 2 * k - 1 <= side else 1 for k, side in zip(kernel, shape[1:], strict=True)]
    dilation = draw(st.integers(1, widest[0])), draw(st.integers(1, widest[1]))
    return nn.MaxPool2d(kernel, draw(_PAIRS), padding, dilation, ceil_mode=draw(st.booleans()))


def _avg_pool(draw: Draw, shape: Shape) -> nn.Module:
    kernel = _kernel(draw, shape)
    padding = draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))
    flags = draw(st.booleans()), draw(st.booleans())
    return nn.AvgPool2d(kernel, draw(_PAIRS), padding, ceil_mode=flags[0], count_include_pad=flags[1])


def _adaptive_pool(draw: Draw, shape: Shape) -> nn.Module:
    size = (draw(st.integers(1, shape[1])), draw(st.integers(1, shape[2])))
    return draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))(size)


def _upsample(draw: Draw, shape: Shape) -> nn.Module:
    size = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    return nn.Upsample(size=size, mode=draw(st.sampled_from(["nearest", "bilinear"])))


_PAIRS = st.tuples(st.integers(1, 2), st.integers(1, 2))
_PADDINGS = st.tuples(st.integers(0, 1), st.integers(0, 1))
_LEAKY = _module(nn.LeakyReLU, st.sampled_from([0.25, 0.01, 0.0, 1.0]))

TABLE1_VECTOR_STEPS: list[Step] = [_module(nn.ReLU), _linear, _LEAKY, _batch_norm]
TABLE1_IMAGE_STEPS: list[Step] = [_module(nn.ReLU), _conv, _max_pool, _LEAKY, _batch_norm]

ANY_STEPS: list[Step] = [
    _prelu,
    _module(nn.ReLU6),
    _module(nn.Hardtanh),
    _module(nn.Softshrink),
    _module(nn.Hardsigmoid),
    _function("abs", torch.abs),
    _function("clamp_max", lambda x: x.clamp(max=0.5)),
    _function("one_minus", lambda x: 1 - x),
    _function("flip", lambda x: x.flip(-1)),
    _function("roll", lambda x: torch.roll(x, 1, -1)),
    _function("center", lambda x: x - x.mean(1, keepdim=True)),
    _function("crelu", lambda x: torch.cat([torch.relu(x), torch.relu(-x)], 1)),
    _function("amax", lambda x: x.amax(1, keepdim=True)),
    _function("max_with_flip", lambda x: torch.maximum(x, x.flip(-1) - 0.5)),
    _constant("scale", torch.mul),
    _constant("shift", torch.add),
    _constant("minimum", torch.minimum),
]
VECTOR_STEPS: list[Step] = [
    *TABLE1_VECTOR_STEPS * 3,
    *ANY_STEPS,
    _function("pad", lambda x: nn.functional.pad(x, (1, 0), value=0.5)),
    _function("stack_sum", lambda x: torch.stack([x, -2 * x.relu()], 1).sum(1)),
]
IMAGE_STEPS: list[Step] = [
    *TABLE1_IMAGE_STEPS * 3,
    *ANY_STEPS,
    _padded_conv,
    _transposed_conv,
    _avg_pool,
    _adaptive_pool,
    _upsample,
    _function("transpose", lambda x: x.transpose(2, 3)),
    _function("every_second", lambda x: x[:, :, ::2]),
]
