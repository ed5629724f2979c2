"""The layers of the papers' networks by name, as text: the command line's help lists them without torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STANDARD_VGG = "C32 C32 MP C64 C64 MP C128 C128 MP D128"
CHAINS = {
    "fcn2": "D*",
    "fcn4": "D* D200 D80",
    "fcn6": "D2500 D2000 D1500 D1000 D500",
    "fcn8": "D4096 D3072 D2048 D1024 D512 D256 D128",
    "wide": "D4096 " * 8 + "D128",
    "conv": "C32 MP C64 C64 MP D64",
    "narrow": "C4 C4 MP C16 C16 MP C64 C64 MP D128",
    "narrow-strides": "C4 C4/2 C16 C16/2 C64 C64/2 D128",
    "conv-batchnorm": STANDARD_VGG.replace("C", "B"),
    "conv-avgpool": STANDARD_VGG.replace("MP", "AP"),
    "conv-nopool": STANDARD_VGG.replace("MP ", ""),
    "fcn-small": "D64 D32",
    "conv-small": "C8 MP C16 MP D32",
}
"""Networks that are chains of layers, each convolution and dense layer followed by the activation; the logits come last."""
COLOR_CHAINS = {"fcn4": "D* D400 D120", "conv": STANDARD_VGG}
"""The chains for color images: three channels for `fcn4`, more than one channel for `conv`."""

MODELS: Mapping[str, str] = MappingProxyType(
    {name: chain + (f"; color images: {COLOR_CHAINS[name]}" if name in COLOR_CHAINS else "") for name, chain in CHAINS.items()}
    | {
        "allcnn": "AllCNN-C: C96 C96 C96/2 C192 C192 C192/2 C192 C192, 1×1 convolution, global average",
        "resnet-v1": "ResNet-20: 3 stages of 3 blocks of two convolutions",
        "resnet-v2": "ResNet-29: 3 stages of 3 pre-activated bottlenecks",
    }
)
"""The names that `build` takes, each with its layers.

C32: 3×3 convolution with 32 channels (C32/2: stride 2; B32: with batch norm), MP: max-pool, AP: average pool, D64: dense layer
with 64 units, D*: dense layer with as many units as the network has inputs.
"""
