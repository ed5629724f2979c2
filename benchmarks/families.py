"""Twenty-five families of image networks, as torchvision and timm define them up to their widths, with relus in place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.architectures import DEEP, initial


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    """Convolution, batch norm and relu."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)]
    layers += [nn.BatchNorm2d(outputs), *([nn.ReLU(inplace=True)] if act else [])]
    return nn.Sequential(*layers)


class Sum(nn.Module):
    """relu of the sum of branches, or without the relu."""

    def __init__(self, *branches: nn.Module, relu: bool = True) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.branches[0](x)
        for branch in self.branches[1:]:
            out = out + branch(x)
        return self.relu(out)


class Cat(nn.Module):
    """Branches side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Shuffle(nn.Module):
    """A unit of ShuffleNetV2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(conv(half, half, 1), conv(half, half, 3, 1, half, act=False), conv(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        out = torch.cat([left, self.body(right)], 1)
        n, c, h, w = out.shape
        return out.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Gate(nn.Module):
    """Channels and positions mixed by turns, as in RepMLP and MLP-Mixer with relus."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.ReLU(), nn.Linear(2 * tokens, tokens))
        self.width = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return x + self.width(x)


class Tokens(nn.Module):
    """An image as a sequence of patches."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.patches(x).flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """The mean over the sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class UNet(nn.Module):
    """Two levels down and up, with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, 32), conv(32, 64), conv(64, 128)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(128, 64, 2, 2), nn.ConvTranspose2d(64, 32, 2, 2)])
        self.mix = nn.ModuleList([conv(128, 64), conv(64, 32)])
        self.pool, self.out = nn.MaxPool2d(2), head(32)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for layer in self.down[:-1]:
            skips.append(layer(x))
            x = self.pool(skips[-1])
        x = self.down[-1](x)
        for up, mix, skip in zip(self.up, self.mix, reversed(skips), strict=True):
            x = mix(torch.cat([up(x), skip], 1))
        return self.out(x)


def head(width: int) -> nn.Sequential:
    """Global average pooling and ten logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def stages(
    block: Callable[[int, int, int], nn.Module], widths: tuple[int, ...], counts: tuple[int, ...], stem: int = 32
) -> nn.Sequential:
    """Stages of blocks, the first of each with stride 2."""
    layers: list[nn.Module] = [conv(3, stem, 3, 2)]
    inputs = stem
    for width, count in zip(widths, counts, strict=True):
        for i in range(count):
            layers.append(block(inputs, width, 1 if i else 2))
            inputs = width
    return nn.Sequential(*layers, head(inputs))


def skip(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity, or a projection."""
    return nn.Identity() if inputs == outputs and stride == 1 else conv(inputs, outputs, 1, stride, act=False)


def bottleneck(groups: int, expansion: int = 1) -> Callable[[int, int, int], nn.Module]:
    """1×1, grouped 3×3, 1×1."""

    def block(a: int, b: int, s: int) -> nn.Module:
        inner = b * expansion
        body = nn.Sequential(conv(a, inner, 1), conv(inner, inner, 3, s, groups), conv(inner, b, 1, act=False))
        return Sum(body, skip(a, b, s))

    return block


def depthwise(a: int, b: int, s: int) -> nn.Module:
    """A block of MobileNetV1."""
    return nn.Sequential(conv(a, a, 3, s, a), conv(a, b, 1))


def inverted(expansion: int, kernel: int = 3) -> Callable[[int, int, int], nn.Module]:
    """A block of MNASNet, FBNet and EfficientNet-Lite with relus."""

    def block(a: int, b: int, s: int) -> nn.Module:
        e = a * expansion
        body = nn.Sequential(conv(a, e, 1), conv(e, e, kernel, s, e), conv(e, b, 1, act=False))
        return Sum(body, nn.Identity(), relu=False) if a == b and s == 1 else body

    return block


def repvgg(a: int, b: int, s: int) -> nn.Module:
    """A block of RepVGG before its branches are merged."""
    branches = [conv(a, b, 3, s, act=False), conv(a, b, 1, s, act=False)]
    return Sum(*branches, *([nn.BatchNorm2d(a)] if a == b and s == 1 else []))


def mobileone(a: int, b: int, s: int) -> nn.Module:
    """A block of MobileOne-S0 before its four branches are merged."""
    deep = [conv(a, a, 3, s, a, act=False) for _ in range(4)] + [conv(a, a, 1, s, a, act=False)]
    wide = [conv(a, b, 1, act=False) for _ in range(4)]
    return nn.Sequential(Sum(*deep), Sum(*wide))


def fire(a: int, b: int) -> nn.Module:
    """A block of SqueezeNet."""
    squeeze = nn.Sequential(nn.Conv2d(a, b // 8, 1), nn.ReLU(inplace=True))
    sides = [nn.Sequential(nn.Conv2d(b // 8, b // 2, k, padding=k // 2), nn.ReLU(inplace=True)) for k in (1, 3)]
    return nn.Sequential(squeeze, Cat(*sides))


def inception(a: int, b: int) -> nn.Module:
    """A block of GoogLeNet."""
    q = b // 4
    pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(a, q, 1))
    return Cat(conv(a, q, 1), nn.Sequential(conv(a, q, 1), conv(q, q)), nn.Sequential(conv(a, q, 1), conv(q, q, 5)), pooled)


def dla(a: int, b: int, s: int) -> nn.Module:
    """A block that aggregates two branches, as in DLA and HarDNet."""
    return nn.Sequential(conv(a, b, 3, s), Cat(nn.Identity(), conv(b, b)), conv(2 * b, b, 1))


def csp(a: int, b: int, s: int) -> nn.Module:
    """A cross-stage partial block."""
    body = nn.Sequential(conv(b, b // 2, 1), conv(b // 2, b // 2))
    return nn.Sequential(conv(a, b, 3, s), Cat(conv(b, b // 2, 1), body), conv(b, b, 1))


def vgg() -> nn.Module:
    """VGG-16 with batch norm, relus in place and global pooling."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers.append(conv(inputs, width))
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, head(512))


def alexnet() -> nn.Module:
    """AlexNet with strides for 64 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
    for a, b in ((64, 192), (192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True)]
    layers += [nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(), nn.Linear(2304, 1024), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(1024, 10))


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1."""
    fires = [fire(64, 128), fire(128, 128), nn.MaxPool2d(3, 2, ceil_mode=True), fire(128, 256), fire(256, 256)]
    return nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), *fires, head(256))


def googlenet() -> nn.Module:
    """Nine inception blocks."""
    widths = (64, 192, 256, 256, 384, 384, 384, 512, 512, 512)
    return nn.Sequential(conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *map(inception, widths, widths[1:]), head(512))


def shufflenet() -> nn.Module:
    """ShuffleNetV2 without its strided units."""
    parts = [[conv(a, b, 3, 2), *(Shuffle(b) for _ in range(4))] for a, b in ((24, 48), (48, 96), (96, 192))]
    return nn.Sequential(conv(3, 24, 3, 2), *(layer for part in parts for layer in part), head(192))


def all_convolutional() -> nn.Module:
    """The All Convolutional Net."""
    widths = (3, 96, 96, 96, 192, 192, 192, 192, 192)
    layers = [conv(a, b, 3, 2 if i in (2, 5) else 1) for i, (a, b) in enumerate(pairwise(widths))]
    return nn.Sequential(*layers, head(192))


def mixer() -> nn.Module:
    """An MLP-Mixer with relus and without layer norm."""
    return nn.Sequential(Tokens(8, 64), *(Gate(64, 64) for _ in range(8)), Mean(), nn.Linear(64, 10))


def dense_mlp() -> nn.Module:
    """A plain network of six dense layers."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(3 * 64 * 64, 256)]
    for _ in range(5):
        layers += [nn.ReLU(inplace=True), nn.Linear(256, 256)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Linear(256, 10))


FOUR = (64, 128, 256, 512)
FAMILIES: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: initial(name) for name in DEEP if name != "VGG-16-BN"},
    "VGG-16-BN": vgg,
    "AlexNet": alexnet,
    "SqueezeNet": squeezenet,
    "GoogLeNet": googlenet,
    "ShuffleNetV2": shufflenet,
    "ResNeXt": lambda: stages(bottleneck(32, 2), FOUR, (3, 4, 6, 3)),
    "Wide ResNet": lambda: stages(bottleneck(1, 2), FOUR, (3, 4, 6, 3)),
    "RegNetX": lambda: stages(bottleneck(8), (24, 56, 152, 368), (1, 1, 4, 7)),
    "MobileNetV1": lambda: stages(depthwise, (64, 128, 256, 512, 1024), (1, 2, 2, 6, 2)),
    "MNASNet": lambda: stages(inverted(3, 5), (24, 40, 80, 192), (3, 3, 3, 4)),
    "FBNet": lambda: stages(inverted(6), (24, 32, 64, 112), (4, 4, 4, 4)),
    "EfficientNet-Lite": lambda: stages(inverted(6, 5), (24, 40, 80, 112, 192), (2, 2, 3, 3, 4)),
    "RepVGG-A0": lambda: stages(repvgg, (48, 96, 192, 1280), (2, 4, 14, 1), 48),
    "MobileOne-S0": lambda: stages(mobileone, (48, 128, 256, 1024), (2, 8, 10, 1), 48),
    "DLA": lambda: stages(dla, FOUR, (2, 2, 3, 2)),
    "CSPNet": lambda: stages(csp, FOUR, (2, 3, 3, 2)),
    "ResNet-34": lambda: stages(
        lambda a, b, s: Sum(nn.Sequential(conv(a, b, 3, s), conv(b, b, act=False)), skip(a, b, s)), FOUR, (3, 4, 6, 3)
    ),
    "All-CNN": all_convolutional,
    "U-Net": UNet,
    "MLP-Mixer": mixer,
    "dense": dense_mlp,
}
