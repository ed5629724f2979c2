"""ONNX ops in the forms of every opset: the network that is read computes what ``onnx.reference`` computes, or says why not."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import tropica as tp
from tests.network.readers.node_cases import NodeCase, node_cases, outcome, variants
from tropica.network.readers.onnx_file import content
from tropica.network.readers.onnx_network import from_file
from tropica.network.readers.onnx_reference import reference


def parse(opset: int, shape: str, body: str, constants: str = "") -> onnx.ModelProto:
    """A model with the input x and the output y, in the text form of ONNX."""
    text = f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float y) <{constants}> {{ {body} }}'
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model)
    return model


IMAGE = "1,2,5,6"
NORM = "float[2] g = {1, -2}, float[2] b = {0.5, 1}, float[2] m = {1, 2}, float[2] v = {4, 0.25}"
MATRIX = "float[2,3] w = {1, 2, 3, -1, 0, 1}"
FILTER = "float[1,1,4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6}"
FILTERS = "float[1,2,3,2] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6}"
BOUNDS = "float[1,2] l = {-0.5, 0.1}, float[2] h = {1, 2}"
READ = {
    "clip 6": (7, "1,6", "y = Clip<min = -0.5, max = 0.25>(x)", ""),
    "clip 6 above": (10, "1,6", "y = Clip<min = 0.0>(x)", ""),
    "clip 11": (11, "1,6", "y = Clip(x, , h)", "float h = {0.25}"),
    "squeeze 1": (11, "1,2,1,3", "y = Squeeze<axes = [0, 2]>(x)", ""),
    "unsqueeze 1": (11, "2,3", "z = Unsqueeze<axes = [0, 3]>(x) y = Relu(z)", ""),
    "slice 1": (9, IMAGE, "y = Slice<starts = [0, -4], ends = [1, 100], axes = [1, 3]>(x)", ""),
    "slice 10": (10, IMAGE, "y = Slice(x, s, e, a, t)", "int64[1] s={4}, int64[1] e={-100}, int64[1] a={2}, int64[1] t={-2}"),
    "pad 2": (10, IMAGE, "y = Pad<pads = [0, 0, 1, 2, 0, 0, 0, 1], value = 1.5>(x)", ""),
    "pad 2 edge": (7, IMAGE, 'y = Pad<pads = [0, 0, 1, 2, 0, 0, 0, 1], mode = "edge">(x)', ""),
    "pad 11 cut": (11, IMAGE, 'y = Pad<mode = "reflect">(x, p)', "int64[8] p = {0, 0, 1, -2, 0, 0, 2, 1}"),
    "split 2": (11, "1,6", "a, b = Split<axis = 1, split = [2, 4]>(x) y = Concat<axis = 1>(b, a)", ""),
    "split equal": (12, "1,6", "a, b = Split<axis = -1>(x) y = Sub(a, b)", ""),
    "sum 1": (11, IMAGE, "y = ReduceSum<axes = [1, -1], keepdims = 0>(x)", ""),
    "mean 1": (17, IMAGE, "y = ReduceMean<axes = [0, 2]>(x)", ""),
    "max 1": (8, IMAGE, "y = ReduceMax(x)", ""),
    "min 1": (11, IMAGE, "y = ReduceMin<axes = [3], keepdims = 0>(x)", ""),
    "upsample 7": (7, IMAGE, 'y = Upsample<mode = "nearest", scales = [1.0, 1.0, 2.0, 1.5]>(x)', ""),
    "upsample 9": (9, IMAGE, 'y = Upsample<mode = "linear">(x, s)', "float[4] s = {1, 1, 2, 2}"),
    "resize 10": (10, IMAGE, 'y = Resize<mode = "linear">(x, s)', "float[4] s = {1, 1, 2, 0.5}"),
    "resize 10 nearest": (10, IMAGE, "y = Resize(x, s)", "float[4] s = {1, 1, 2, 0.5}"),
    "resize 11": (
        *(11, IMAGE, 'y = Resize<coordinate_transformation_mode = "pytorch_half_pixel", mode = "linear">(x, r, s)'),
        "float[0] r = {}, float[4] s = {1, 1, 2.5, 1}",
    ),
    "resize cubic": (
        *(13, IMAGE, 'y = Resize<mode = "cubic", cubic_coeff_a = -0.5, exclude_outside = 1>(x, , s)'),
        "float[4] s = {1, 1, 1.5, 0.7}",
    ),
    "resize cubic wide": (
        *(19, IMAGE, 'y = Resize<mode = "cubic", antialias = 1, coordinate_transformation_mode = "align_corners">(x, , s)'),
        "float[4] s = {1, 1, 0.6, 1.5}",
    ),
    "strides past the end": (
        *(
            12,
            IMAGE,
            "a = MaxPool<kernel_shape=[2,3], strides=[9223372036854775807,2]>(x) y = Conv<strides=[1,4294967296]>(a, w)",
        ),
        "float[1,2,1,1] w = {1, -2}",
    ),
    "dropout 7": (7, "1,6", "y = Dropout<ratio = 0.3>(x)", ""),
    "batch norm 7": (7, "1,2,3", "y = BatchNormalization<spatial = 1>(x, g, b, m, v)", NORM),
    "batch norm 9": (9, "1,2", "y = BatchNormalization<epsilon = 0.5>(x, g, b, m, v)", NORM),
    "max pool 1": (7, IMAGE, "y = MaxPool<kernel_shape = [3, 2], pads = [1, 0, 1, 0], strides = [2, 1]>(x)", ""),
    "max pool lower": (12, IMAGE, 'y = MaxPool<kernel_shape = [3, 4], auto_pad = "SAME_LOWER", strides = [2, 3]>(x)', ""),
    "max pool upper": (8, IMAGE, 'y = MaxPool<kernel_shape = [3, 3], auto_pad = "SAME_UPPER", strides = [2, 2]>(x)', ""),
    "max pool behind": (12, IMAGE, "y = MaxPool<kernel_shape = [2, 2], pads = [0, 0, 1, 1]>(x)", ""),
    "max pool 4 axes": (12, "1,1,2,2,2,3", "y = MaxPool<kernel_shape = [2, 1, 2, 2]>(x)", ""),
    "max pool ceil": (
        *(
            12,
            IMAGE,
            "y = MaxPool<ceil_mode = 1, pads = [1,0,1,1], dilations = [2,1], strides = [3,2], kernel_shape = [2,3]>(x)",
        ),
        "",
    ),
    "mean pool 7": (7, IMAGE, "y = AveragePool<kernel_shape = [2, 3], pads = [1, 0, 1, 2], count_include_pad = 1>(x)", ""),
    "mean pool 10": (10, IMAGE, "y = AveragePool<kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1>(x)", ""),
    "mean pool upper": (10, IMAGE, 'y = AveragePool<auto_pad = "SAME_UPPER", strides = [3, 2], kernel_shape = [4, 3]>(x)', ""),
    "mean pool lower": (
        *(7, IMAGE, 'y = AveragePool<auto_pad="SAME_LOWER", strides=[3, 2], kernel_shape=[4, 3], count_include_pad=1>(x)'),
        "",
    ),
    "mean pool ceil": (
        *(19, IMAGE, "y = AveragePool<ceil_mode=1, pads=[1,0,1,1], dilations=[2,1], strides=[3,2], kernel_shape=[2,3]>(x)"),
        "",
    ),
    "prelu 7": (7, "1,2,3", "y = PRelu(x, s)", "float[2,1] s = {0.5, -1.5}"),
    "prelu of units": (9, "2,3", "y = PRelu(x, s)", "float[3] s = {0.5, -1.5, 2}"),
    "flatten": (11, IMAGE, "y = Flatten<axis = -2>(x)", ""),
    "softmax 1": (9, "1,2,3", "y = Softmax(x)", ""),
    "log softmax": (13, "1,6", "z = LogSoftmax(x) y = Reshape(z, s)", "int64[2] s = {3, -1}"),
    "gemm 7": (7, "1,3", "y = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(x, w, c)", f"{MATRIX}, float[2] c = {{1, 2}}"),
    "gemm of a column": (9, "3,1", "y = Gemm(w, x, c)", f"{MATRIX}, float[2,1] c = {{1, 2}}"),
    "gemm transposed": (11, "3,4", "y = Gemm<transA = 1, transB = 1>(w, x)", "float[4,2] w = {1, 2, 3, -1, 0, 1, 5, 6}"),
    "gemm of turned x": (9, "3,4", "y = Gemm<transA = 1>(x, w, c)", "float[3,2] w = {1,2,3,-1,0,1}, float[1] c = {1}"),
    "matmul of a vector": (13, "3", "y = MatMul(w, x)", MATRIX),
    "matmul of matrices": (13, "2,2,3", "y = MatMul(x, w)", "float[2,3,1] w = {1, 2, 3, -1, 0, 1}"),
    "constants": (
        *(12, "1,6", "a = Constant<value_floats = [1.0, 2.0]>() c = Reshape(x, s) d = Mul(c, a) y = Gather<axis = 1>(d, i)"),
        "int64[2] s = {3, 2}, int64[1,2] i = {-1, 0}",
    ),
    "shape": (
        *(13, "N,6", "s = Shape(x) n = Gather(s, i) t = Concat<axis = 0>(n, m) z = Reshape(x, t) y = Relu(z)"),
        "int64[1] i = {0}, int64[1] m = {-1}",
    ),
    "expand": (13, "1,6", "z = Expand(x, s) y = Abs(z)", "int64[3] s = {2, 1, 6}"),
    "extrema": (13, "1,2", "a = Max(x, l) b = Min(a, h) c = Sum(b, x, l) d = Neg(c) y = Concat<axis = 1>(d, l)", BOUNDS),
    "quotients": (7, "1,2", "a = Div(x, h) b = Sub(l, a) y = Mul(b, h)", BOUNDS),
    "depth": (11, "1,8,2,3", 'z = DepthToSpace<blocksize = 2, mode = "CRD">(x) y = SpaceToDepth<blocksize = 2>(z)', ""),
    "two images": (11, "2,2,3,4", "z = Transpose<perm = [0, 1, 3, 2]>(x) a = GlobalMaxPool(z) y = GlobalAveragePool(z)", ""),
    "conv upper": (11, "1,1,5,6", 'y = Conv<auto_pad="SAME_UPPER", strides=[3, 2], kernel_shape=[4, 3]>(x, w)', FILTER),
    "conv lower": (7, "1,1,5,6", 'y = Conv<auto_pad = "SAME_LOWER", strides = [3, 2]>(x, w)', FILTER),
    "conv of two": (11, "2,1,3,3", "y = Conv<pads = [1, 0, 2, 1], dilations = [1, 2]>(x, w)", "float[1,1,2,2] w = {1,2,3,4}"),
    "conv transpose": (
        *(11, "1,1,3,3", 'y = ConvTranspose<auto_pad = "SAME_LOWER", strides = [2, 3]>(x, w, b)'),
        f"{FILTERS}, float[2] b = {{1, -1}}",
    ),
    "conv transpose upper": (11, "1,1,3,3", 'y = ConvTranspose<auto_pad="SAME_UPPER", strides=[2, 3], group=1>(x, w)', FILTERS),
    "conv transpose shape": (
        *(11, "1,1,3,3", "y = ConvTranspose<output_shape = [6, 8], strides = [2, 3], dilations = [1, 2]>(x, w)"),
        FILTERS,
    ),
    "conv transpose pads": (
        *(11, "1,1,3,3", "y = ConvTranspose<output_padding = [1, 2], strides = [2, 3], pads = [1, 2, 0, 1]>(x, w)"),
        FILTERS,
    ),
}
"""Opset, shape of the input x, nodes, constants."""


@pytest.mark.parametrize("name", READ)
def test_forms_of_older_opsets(name: str) -> None:
    opset, shape, body, constants = READ[name]
    sizes = [1 if n == "N" else int(n) for n in shape.split(",")]
    x = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
    assert outcome(NodeCase(name, parse(opset, shape, body, constants), {"x": x}, "y", ("x",))) == "equal"


REFUSED = {
    "smooth": (13, "1,6", "y = Tanh(x)", "", "onnx.Tanh.*smooth"),
    "unknown": (13, "1,6", 'y = Einsum<equation = "ij->ij">(x)', "", "onnx.Einsum"),
    "product": (13, "1,6", "y = Mul(x, x)", "", "multiplies two activations"),
    "quotient": (13, "1,6", "y = Div(x, c)", "float c = {0}", "divides by zero"),
    "softmax inside": (13, "1,6", "z = Softmax(x) y = Relu(z)", "", "follows a softmax"),
    "softmax of a part": (13, "1,2,3", "y = Softmax(x)", "", "over 3 of 6"),
    "training": (13, "1,2,3", "y = Dropout(x, r, t)", "float r = {0.5}, bool t = {1}", "export the model in eval mode"),
    "positions": (12, "1,1,6", "a, i = MaxPool<kernel_shape = [2]>(x) y = Cast<to = 1>(i)", "", "not piecewise linear"),
    "infinite": (11, IMAGE, "y = Pad(x, p, v)", "int64[8] p = {0,0,1,0,0,0,0,0}, float v = {inf}", "pads with inf"),
    "attribute": (10, IMAGE, "y = Pad<pads = [0, 0, 1, 2, 0, 0, 0, 1], value = nan>(x)", "", "attribute value is nan"),
    "overflow": (13, "1,6", "a = Mul(x, c) b = Mul(a, c) y = Mul(b, b2)", "float c = {1e38}, float b2 = {1e38}", "infinite"),
    "cast": (13, "1,6", "a = Cast<to = 10>(x) y = Cast<to = 1>(a)", "", "float32 to float16"),
    "huge": (13, "1,6", "y = Expand(x, s)", "int64[3] s = {100000, 100000, 6}", "entries"),
    "huge constant": (13, "1,6", "z = ConstantOfShape(s) y = Add(x, z)", "int64[2] s = {100000, 1000000}", "entries"),
    "large window": (
        10,
        IMAGE,
        'y = AveragePool<auto_pad = "SAME_LOWER", kernel_shape = [4, 1048576]>(x)',
        "",
        "4,194,304 pos",
    ),
    "whole window": (12, IMAGE, "y = MaxPool<kernel_shape = [1, 1], pads = [1, 0, 0, 0]>(x)", "", "lies in the padding"),
}
"""What is refused, with a part of the message."""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    opset, shape, body, constants, message = REFUSED[name]
    with pytest.raises(tp.TropicaError) as found:
        from_file(content(parse(opset, shape, body, constants), None), {}, flatten_output=True)
    assert re.search(message, " ".join(str(found.value).split()))


def test_mean_pools_of_the_check() -> None:
    """The check's own AveragePool is that of the package onnx, which does not see dilations beside auto_pad."""
    rng, compared = random.Random(0), 0
    for _ in range(60):
        axes, size = range(rng.choice([1, 2])), [2, 3, 4, 5, 6]
        shape, kernel = [rng.choice(size) for _ in axes], [rng.randint(1, 3) for _ in axes]
        settings: dict[str, Any] = {"kernel_shape": kernel, "strides": [rng.randint(1, 3) for _ in axes]}
        settings["count_include_pad"] = rng.randint(0, 1)
        if rng.random() < 0.5:
            settings["auto_pad"] = rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        else:
            settings |= {"pads": [rng.randrange(k) for k in kernel * 2], "ceil_mode": rng.randint(0, 1)}
            settings["dilations"] = [rng.randint(1, 2) for _ in axes]
        ends = [onnx.helper.make_tensor_value_info(name, 1, None) for name in "xy"]
        node = onnx.helper.make_node("AveragePool", ["x"], ["y"], **settings)
        graph = onnx.helper.make_graph([node], "pool", ends[:1], ends[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
        x = np.random.default_rng(0).normal(size=(1, 2, *shape)).astype(np.float32)
        try:
            wanted: Any = ReferenceEvaluator(model).run(None, {"x": x})
        except (IndexError, ValueError, RuntimeError):  # windows larger than the padded input
            continue
        found: Any = reference(model).run(None, {"x": x})
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-6, err_msg=str((shape, settings)))
        compared += 1
    assert compared > 40


@pytest.mark.slow
def test_backend_node_tests() -> None:
    """Every backend node test of an op with a rule, in every version where it is valid, for every choice of inputs.

    A case is equal, or refused for a reason that no rule could mend.
    """
    allowed = (
        *(
            "multiplies two activations",
            "divides by an activation",
            "depends on the network's input; a constant",
            "is a constant, and",
        ),
        *("training_mode is 1", "it is smooth", "output is not piecewise linear", "tf_crop_and_resize"),
        *("it makes a tensor of the shape (20, 0, 5)",),
    )
    count = 0
    for name, model, values in node_cases():
        for case in variants(name, model, values):
            found, count = outcome(case), count + 1
            if found != "equal":
                assert any(reason in found for reason in allowed), f"{case.name}: {found}"
    assert count > 1_000
