"""The one shared list of test networks: every supported operation at least once, small and quick.

A test of single ops loops over `CASES`, or over `tagged("nonlinearity")`; a test of a property of any graph loops over
`REPRESENTATIVE`, which contains each class of ops, heads and degenerate weights at least once. Tags:

* `affine`, `nonlinearity`, `rewritten`: the operation under test is affine, a nonlinearity, or rewritten into these two;
* `architecture`: a small network of a known family; `paper`: a network of the TropEx paper, scaled down;
* `sequential31`: `tests.oracles.algorithm31` applies exactly (flat Sequential of Table 1's layers, gamma > 0);
* `rational`: `tests.oracles.dense.exact_at` applies (Linear, ReLU, LeakyReLU);
* `degenerate`: zero biases, or equal, dead, constant neurons; `negative_gamma`: batch norm that flips signs;
* `head`: ends in (log-)softmax or sigmoid, see `logits_of`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from tests import network_families as families
from tests.network_case import IMAGE, SEQUENCE, VECTOR, VOLUME, Case, around, case, chain, constant, function
from tests.network_modules import (
    Apply,
    Headed,
    duplicate_neurons,
    join_cat,
    kill_neurons,
    logits_of,
    negate_some_gammas,
    prelu,
    zero_biases,
    zero_first_weights,
)

__all__ = ["CASES", "REPRESENTATIVE", "Case", "logits_of", "tagged"]

AFFINE_MODULES = [
    around("linear", VECTOR, "affine sequential31 rational", lambda: nn.Linear(8, 6)),
    around("linear_no_bias", VECTOR, "affine sequential31 rational", lambda: nn.Linear(8, 6, bias=False)),
    around("linear_on_last_axis", SEQUENCE, "affine", lambda: nn.Linear(9, 4)),
    around("weight_norm_linear", VECTOR, "affine", lambda: weight_norm(nn.Linear(8, 6))),
    around("conv1d_stride_dilation", SEQUENCE, "affine", lambda: nn.Conv1d(4, 3, 2, stride=2, padding=2, dilation=3)),
    around("conv1d_groups_same", SEQUENCE, "affine", lambda: nn.Conv1d(4, 6, 4, padding="same", groups=2)),
    around("conv1d_circular", SEQUENCE, "affine", lambda: nn.Conv1d(4, 3, 3, padding=2, padding_mode="circular")),
    around("conv2d", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 3, 3)),
    around("conv2d_same", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 3, (3, 4), 1, "same", (2, 1))),
    around("conv2d_valid", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 3, 3, (2, 1), "valid", bias=False)),
    around("conv2d_uneven", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 3, (3, 2), (2, 3), (1, 0), (1, 2))),
    around("conv2d_groups", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2)),
    around("conv2d_depthwise", IMAGE, "affine sequential31", lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4)),
    around("conv2d_reflect", IMAGE, "affine", lambda: nn.Conv2d(4, 3, 3, padding=2, padding_mode="reflect")),
    around("conv2d_replicate", IMAGE, "affine", lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="replicate")),
    around("conv2d_circular", IMAGE, "affine", lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular")),
    around("conv3d_stride_groups", VOLUME, "affine", lambda: nn.Conv3d(4, 4, 2, stride=2, padding=1, groups=2)),
    around("conv_transpose1d", SEQUENCE, "affine", lambda: nn.ConvTranspose1d(4, 3, 3, 2, 1, output_padding=1)),
    around("conv_transpose2d", IMAGE, "affine", lambda: nn.ConvTranspose2d(4, 3, 3, 2, 1)),
    around("conv_transpose2d_groups", IMAGE, "affine", lambda: nn.ConvTranspose2d(4, 4, 2, 1, groups=2, dilation=2)),
    around("batch_norm1d", VECTOR, "affine sequential31", lambda: nn.BatchNorm1d(8)),
    around("batch_norm1d_sequence", SEQUENCE, "affine", lambda: nn.BatchNorm1d(4)),
    around("batch_norm2d", IMAGE, "affine sequential31", lambda: nn.BatchNorm2d(4)),
    around("batch_norm2d_no_affine", IMAGE, "affine sequential31", lambda: nn.BatchNorm2d(4, affine=False)),
    around("batch_norm1d_negative", VECTOR, "affine negative_gamma", lambda: nn.BatchNorm1d(8), negate_some_gammas),
    around("batch_norm2d_negative", IMAGE, "affine negative_gamma", lambda: nn.BatchNorm2d(4), negate_some_gammas),
    around("avg_pool1d", SEQUENCE, "affine", lambda: nn.AvgPool1d(3, 2, padding=1)),
    around("avg_pool1d_exclude_pad", SEQUENCE, "affine", lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False)),
    around("avg_pool1d_ceil", SEQUENCE, "affine", lambda: nn.AvgPool1d(2, 2, ceil_mode=True)),
    around("avg_pool2d_overlap", IMAGE, "affine", lambda: nn.AvgPool2d(3, 2, padding=1)),
    around("avg_pool2d_exclude_pad", IMAGE, "affine", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    around("avg_pool2d_ceil", IMAGE, "affine", lambda: nn.AvgPool2d((3, 2), (2, 3), (1, 0), ceil_mode=True)),
    around("avg_pool2d_divisor", IMAGE, "affine", lambda: nn.AvgPool2d(2, divisor_override=3)),
    around("adaptive_avg_pool1d", SEQUENCE, "affine", lambda: nn.AdaptiveAvgPool1d(4)),
    around("adaptive_avg_pool2d_uneven", IMAGE, "affine", lambda: nn.AdaptiveAvgPool2d((4, 3))),
    around("upsample_nearest", IMAGE, "affine", lambda: nn.Upsample(scale_factor=2)),
    around("upsample_nearest_size", IMAGE, "affine", lambda: nn.Upsample(size=(9, 4))),
    around("upsample_bilinear", IMAGE, "affine", lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    around("upsample_aligned", IMAGE, "affine", lambda: nn.Upsample(size=(9, 4), mode="bilinear", align_corners=True)),
    around("pixel_shuffle", IMAGE, "affine", lambda: nn.PixelShuffle(2)),
    around("pixel_unshuffle", IMAGE, "affine", lambda: nn.PixelUnshuffle(3)),
    around("channel_shuffle_module", IMAGE, "affine", lambda: nn.ChannelShuffle(2)),
    around("dropout", VECTOR, "affine sequential31 rational", lambda: nn.Dropout(0.5)),
    around("identity", VECTOR, "affine sequential31 rational", lambda: nn.Identity()),
    around("zero_pad2d", IMAGE, "affine", lambda: nn.ZeroPad2d((1, 0, 2, 1))),
]

AFFINE_FUNCTIONS = [
    function("mean", IMAGE, "affine", lambda x: x.mean([2, 3])),
    function("center", VECTOR, "affine", lambda x: x - x.mean(-1, keepdim=True)),
    function("sum", IMAGE, "affine", lambda x: x.sum(dim=(-1, -2))),
    function("add", VECTOR, "affine", lambda x: x[:, :4] + x[:, 4:]),
    function("add_scalar", VECTOR, "affine", lambda x: x + 0.5),
    function("add_alpha", VECTOR, "affine", lambda x: torch.add(x, x.flip(1), alpha=-2)),
    function("add_broadcast", IMAGE, "affine", lambda x: x + x.mean(1, keepdim=True)),
    constant("add_constant", VECTOR, "affine", lambda x, c: c + x, (8,)),
    function("sub", VECTOR, "affine", lambda x: x[:, ::2] - x[:, 1::2]),
    constant("sub_constant", IMAGE, "affine", lambda x, c: c - x, (4, 1, 1)),
    function("rsub", VECTOR, "affine", lambda x: 1 - x),
    function("neg", VECTOR, "affine", lambda x: -x),
    function("mul_scalar", VECTOR, "affine", lambda x: -1.5 * x),
    constant("mul_constant", IMAGE, "affine", lambda x, c: x * c, (4, 1, 1)),
    function("div_scalar", VECTOR, "affine", lambda x: x / -1.7),
    constant("div_constant", VECTOR, "affine", lambda x, c: x / c, (8,), positive=True),
    constant("matmul", SEQUENCE, "affine", lambda x, c: x @ c, (9, 3)),
    constant("matmul_left", SEQUENCE, "affine", lambda x, c: c @ x, (3, 4)),
    constant("addmm", VECTOR, "affine", lambda x, c: torch.addmm(c[0], x, c.T), (8, 8)),
    constant("functional_linear", VECTOR, "affine", lambda x, c: F.linear(x, c), (6, 8)),
    constant("einsum", SEQUENCE, "affine", lambda x, c: torch.einsum("bcl,ckl->bk", x, c), (4, 3, 9)),
    function("cat", VECTOR, "affine", lambda x: torch.cat([x, -x, 2 * x[:, :3]], 1)),
    constant("cat_constant", VECTOR, "affine", lambda x, c: torch.cat([x, c.expand(x.shape[0], -1)], 1), (1, 2)),
    function("stack", VECTOR, "affine", lambda x: torch.stack([x, 1 - x], 1)),
    function("split", VECTOR, "affine", lambda x: x.split([3, 5], 1)[1] - x.split(5, 1)[0]),
    function("chunk", IMAGE, "affine", lambda x: x.chunk(2, 1)[0] - x.chunk(2, 1)[1]),
    function("unbind", SEQUENCE, "affine", lambda x: x.unbind(1)[0] - x.unbind(1)[3]),
    function("flatten", IMAGE, "affine", lambda x: x.flatten(1, 2) + torch.flatten(x, 1, 2)),
    function("view", VECTOR, "affine", lambda x: x.view(x.size(0), 2, 4).view(-1, 4, 2)),
    function("reshape", IMAGE, "affine", lambda x: x.transpose(1, 3).reshape(x.shape[0], 6, -1)),
    function("unflatten", VECTOR, "affine", lambda x: x.unflatten(1, (2, -1))),
    function("permute", IMAGE, "affine", lambda x: x.permute(0, 3, 1, 2).contiguous()),
    function("transpose", SEQUENCE, "affine", lambda x: x.transpose(1, 2)),
    function("squeeze", VECTOR, "affine", lambda x: x.unsqueeze(1).squeeze(1)),
    function("slice", IMAGE, "affine", lambda x: x[:, 1:, ::2, -3:]),
    function("select", IMAGE, "affine", lambda x: x[:, 2] - x.select(3, -1).mean(-1, keepdim=True).unsqueeze(-1)[:, 0]),
    function("index", VECTOR, "affine", lambda x: x[:, [2, 0, 5, 5]]),
    function("index_select", IMAGE, "affine", lambda x: x.index_select(2, torch.tensor([4, 0, 0]))),
    function("pad_constant", IMAGE, "affine", lambda x: F.pad(x, (1, 2, 0, 1), value=0.7)),
    function("pad_crop", IMAGE, "affine", lambda x: F.pad(x, (-1, 1))),
    function("pad_reflect", IMAGE, "affine", lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect")),
    function("pad_replicate", SEQUENCE, "affine", lambda x: F.pad(x, (2, 1), mode="replicate")),
    function("pad_circular", IMAGE, "affine", lambda x: F.pad(x, (2, 1, 1, 0), mode="circular")),
    function("flip", IMAGE, "affine", lambda x: x - x.flip(2, 3)),
    function("roll", IMAGE, "affine", lambda x: x - torch.roll(x, (1, -2), (2, 3))),
    function("expand", VECTOR, "affine", lambda x: x.unsqueeze(2).expand(-1, -1, 3)),
    function("repeat", VECTOR, "affine", lambda x: x.repeat(1, 2)),
]

NONLINEARITIES = [
    around("relu", VECTOR, "nonlinearity sequential31 rational", lambda: nn.ReLU()),
    around("relu_inplace", IMAGE, "nonlinearity sequential31", lambda: nn.ReLU(inplace=True)),
    around("leaky_relu", VECTOR, "nonlinearity sequential31 rational", lambda: nn.LeakyReLU(0.25)),
    around("leaky_relu_one", VECTOR, "nonlinearity sequential31 rational", lambda: nn.LeakyReLU(1.0)),
    around("prelu", VECTOR, "nonlinearity", lambda: nn.PReLU()),
    around("prelu_per_channel", IMAGE, "nonlinearity", lambda: prelu(0.1, 0.0, 0.8, 1.0)),
    around("max_pool1d_overlap", SEQUENCE, "nonlinearity", lambda: nn.MaxPool1d(3, 2, padding=1, dilation=2, ceil_mode=True)),
    around("max_pool2d_overlap", IMAGE, "nonlinearity sequential31", lambda: nn.MaxPool2d(3, stride=1)),
    around("max_pool2d_padding", IMAGE, "nonlinearity sequential31", lambda: nn.MaxPool2d(3, 2, padding=1)),
    around("max_pool2d_dilation", IMAGE, "nonlinearity sequential31", lambda: nn.MaxPool2d((3, 2), 1, (1, 0), dilation=2)),
    around("max_pool2d_ceil", IMAGE, "nonlinearity sequential31", lambda: nn.MaxPool2d((2, 3), (3, 2), ceil_mode=True)),
    around("max_pool2d_gaps", IMAGE, "nonlinearity sequential31", lambda: nn.MaxPool2d(2, stride=3)),
    around("adaptive_max_pool1d", SEQUENCE, "nonlinearity", lambda: nn.AdaptiveMaxPool1d(4)),
    around("adaptive_max_pool2d", IMAGE, "nonlinearity", lambda: nn.AdaptiveMaxPool2d((4, 1))),
    function("maximum", VECTOR, "nonlinearity", lambda x: torch.maximum(x[:, :4], x[:, 4:])),
    function("torch_max_two", VECTOR, "nonlinearity", lambda x: torch.max(x, x.flip(1) - 0.5)),
    constant("maximum_constant", VECTOR, "nonlinearity", torch.maximum, (8,)),
    function("amax", IMAGE, "nonlinearity", lambda x: x.amax((2, 3))),
    function("amax_keepdim", SEQUENCE, "nonlinearity", lambda x: x - x.amax(1, keepdim=True)),
    function("max_dim", SEQUENCE, "nonlinearity", lambda x: x.max(2)[0]),
    function("max_dim_keepdim", IMAGE, "nonlinearity", lambda x: x.max(dim=1, keepdim=True).values),
    function("abs", VECTOR, "nonlinearity", lambda x: x.abs() - 0.5),
]

REWRITTEN = [
    around("relu6", IMAGE, "rewritten", lambda: nn.ReLU6()),
    around("hardtanh", VECTOR, "rewritten", lambda: nn.Hardtanh(-0.4, 0.9)),
    function("clamp", VECTOR, "rewritten", lambda x: x.clamp(-0.3, 0.8)),
    function("clamp_min_keyword", VECTOR, "rewritten", lambda x: torch.clamp(x, min=-0.5)),
    function("clamp_max_keyword", VECTOR, "rewritten", lambda x: torch.clamp(x, max=0.5)),
    function("clamp_min", VECTOR, "rewritten", lambda x: x.clamp_min(0.2)),
    function("clamp_max", VECTOR, "rewritten", lambda x: x.clamp_max(0.2)),
    constant("clamp_tensor", VECTOR, "rewritten", lambda x, c: x.clamp(min=-c, max=c), (8,), positive=True),
    around("hardsigmoid", VECTOR, "rewritten", lambda: nn.Hardsigmoid()),
    around("threshold", VECTOR, "rewritten", lambda: nn.Threshold(0.5, 0.5)),
    around("rrelu", VECTOR, "rewritten", lambda: nn.RReLU(0.1, 0.4)),
    around("softshrink", VECTOR, "rewritten", lambda: nn.Softshrink(0.3)),
    function("minimum", VECTOR, "rewritten", lambda x: torch.minimum(x[:, :4], x[:, 4:])),
    constant("minimum_constant", VECTOR, "rewritten", torch.minimum, (8,)),
    function("amin", SEQUENCE, "rewritten", lambda x: x.amin(2)),
    function("min_dim", SEQUENCE, "rewritten", lambda x: x.min(1)[0]),
    around("leaky_relu_steep", VECTOR, "rewritten", lambda: nn.LeakyReLU(1.5)),
    around("leaky_relu_negative", IMAGE, "rewritten", lambda: nn.LeakyReLU(-0.2)),
    around("prelu_negative", VECTOR, "rewritten", lambda: nn.PReLU(init=-0.3)),
    around("prelu_mixed", IMAGE, "rewritten", lambda: prelu(-0.5, 0.3, 1.7, 1.0)),
    function("crelu", IMAGE, "nonlinearity", lambda x: torch.cat([F.relu(x), F.relu(-x)], 1)),
    function("relu_minus_relu", VECTOR, "nonlinearity", lambda x: F.relu(x) - 2 * F.relu(x - 1) + F.relu(-x - 1)),
    function("sorted_pair", VECTOR, "rewritten", lambda x: torch.cat([x.abs(), torch.minimum(x, 2 - x)], 1)),
]

CHAINS = [
    case("linear_only", (4,), "affine sequential31 rational", lambda: nn.Sequential(nn.Linear(4, 3))),
    case("linear_linear", (4,), "affine sequential31 rational", lambda: families.mlp(4, 5, 3, nonlinearity=nn.Identity)),
    chain("linear_linear_relu", (4,), "sequential31 rational", lambda: [nn.Linear(4, 6), nn.Linear(6, 5), nn.ReLU()]),
    chain("batch_norm_mlp", (4,), "sequential31", lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU()]),
    chain("batch_norm_last", (4,), "sequential31", lambda: [nn.Linear(4, 6), nn.ReLU(), nn.BatchNorm1d(6)]),
    chain("batch_norm_first", IMAGE, "sequential31", lambda: [nn.BatchNorm2d(2), nn.ReLU()]),
    chain("conv_bn_conv", IMAGE, "sequential31", families.conv_bn_conv),
    chain("conv_bn_conv_negative", IMAGE, "negative_gamma", families.conv_bn_conv, negate_some_gammas),
    chain("relu_first", (4,), "sequential31 rational", lambda: [nn.ReLU()]),
    chain("relu_pool", IMAGE, "sequential31", lambda: [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 1, 1)]),
    chain("pool_pool", IMAGE, "sequential31", lambda: [nn.MaxPool2d(2, 1), nn.MaxPool2d(3, 2)]),
    chain("shared_layer", (4,), "sequential31 rational", lambda: [nn.Linear(4, 4), nn.ReLU()] * 2),
    case("one_logit", (3,), "sequential31 rational", lambda: families.mlp(3, 6, 4, 1)),
    case("softmax", (4,), "head", lambda: Headed(families.mlp(4, 6, 3), nn.Softmax(1))),
    case("softmax_last_axis", (4,), "head", lambda: Headed(families.mlp(4, 6, 3), nn.Softmax(-1))),
    case("log_softmax", (4,), "head", lambda: Headed(families.mlp(4, 6, 3), nn.LogSoftmax(1))),
    case("sigmoid", (4,), "head", lambda: Headed(families.mlp(4, 6, 1), nn.Sigmoid())),
]

DEGENERATE = [
    case("zero_biases", (4,), "degenerate sequential31 rational", lambda: families.mlp(4, 6, 5, 3), zero_biases),
    case("zero_biases_conv", (1, 8, 8), "degenerate sequential31", families.mnist_conv, zero_biases),
    case("duplicated", (4,), "degenerate sequential31 rational", lambda: families.mlp(4, 6, 6, 3), duplicate_neurons),
    case("dead_neurons", (4,), "degenerate sequential31 rational", lambda: families.mlp(4, 6, 5, 3), kill_neurons),
    case("constant", (4,), "degenerate sequential31 rational", lambda: families.mlp(4, 3, 3), zero_first_weights),
    chain("unused_input", (4,), "degenerate", lambda: [Apply("tail", lambda x: x[:, 2:]), nn.Linear(2, 5), nn.ReLU()]),
    chain("same_twice", (4,), "degenerate", lambda: [join_cat(*[nn.Linear(4, 3)] * 2), nn.ReLU()]),
]

NETWORKS = [
    case("mlp", (4,), "paper sequential31 rational", lambda: families.mlp(4, 8, 6, 3)),
    case("mlp_deep", (3,), "paper sequential31 rational", lambda: families.mlp(3, 6, 6, 5, 5, 4, 3)),
    case("mlp_leaky", (4,), "paper sequential31 rational", lambda: families.mlp(4, 6, 6, 3, nonlinearity=nn.LeakyReLU)),
    case("mlp_planar", (2,), "paper sequential31 rational", lambda: families.mlp(2, 4, 4, 2)),
    case("mnist_fcn4", (1, 6, 6), "paper sequential31", lambda: families.flat_mlp(36, 30, 10, 8, 4)),
    case("mnist_conv", (1, 8, 8), "paper sequential31", families.mnist_conv),
    case("cifar_standard", (3, 8, 8), "paper sequential31", families.vgg),
    case("cifar_batchnorm", (3, 8, 8), "paper sequential31", lambda: families.vgg(norm=True)),
    case("cifar_average_pool", (3, 8, 8), "paper", lambda: families.vgg(pool=nn.AvgPool2d)),
    case("cifar_strides", (3, 8, 8), "paper sequential31", families.vgg_strides),
    case("all_cnn", (3, 8, 8), "paper", families.all_cnn),
    case("resnet", (3, 8, 8), "paper architecture", families.resnet),
    case("resnet_negative", (3, 8, 8), "architecture negative_gamma", families.resnet, negate_some_gammas),
    case("resnet_v2", (3, 6, 6), "paper architecture", families.resnet_v2),
    case("densenet", (2, 8, 8), "architecture", families.densenet),
    case("shufflenet", (2, 6, 6), "architecture", families.shufflenet),
    case("inverted_residual", (2, 6, 6), "architecture rewritten", families.inverted_residual),
    case("inception", (2, 6, 6), "architecture", families.inception),
    case("unet", (2, 6, 6), "architecture", families.unet),
    case("maxout", (4,), "architecture", families.maxout),
    case("two_towers", (3,), "architecture", families.two_towers),
    case("patch_mlp", (3, 4), "architecture", lambda: families.PatchMLP(3, 4, 3)),
    case("residual_mlp", (4,), "architecture", families.residual_mlp),
    chain("dense_mlp", (3,), "architecture", lambda: [join_cat(nn.Identity(), families.mlp(3, 4, 4)), nn.Linear(7, 5)]),
    chain("max_of_branches", (3,), "architecture", lambda: [families.max_of(families.mlp(3, 4, 5), nn.Linear(3, 5))]),
]

CASES: list[Case] = [*AFFINE_MODULES, *AFFINE_FUNCTIONS, *NONLINEARITIES, *REWRITTEN, *CHAINS, *DEGENERATE, *NETWORKS]

_REPRESENTATIVE = """
    linear batch_norm2d_negative conv2d_groups upsample_bilinear cat_constant pad_reflect view
    relu leaky_relu prelu_per_channel max_pool2d_padding maximum_constant amax abs
    hardtanh prelu_mixed clamp_tensor linear_only batch_norm_mlp one_logit softmax
    duplicated constant same_twice mlp mnist_conv resnet inverted_residual maxout
"""
REPRESENTATIVE: list[Case] = [one for one in CASES if one.name in _REPRESENTATIVE.split()]
"""About one network of each class: matrix and image ops, every nonlinearity, heads, degenerate weights, architectures."""


def tagged(*tags: str) -> list[Case]:
    """The cases with all of these tags."""
    return [one for one in CASES if one.tags.issuperset(tags)]
