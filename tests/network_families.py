"""Small members of known families of networks (MLP, VGG, ResNet …), built from `tests.network_modules`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tests.network_modules import Apply, Join, Residual, channel_shuffle, join_cat


def mlp(*widths: int, nonlinearity: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """D-D-...-D with a nonlinearity between any two Linear layers."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nonlinearity()]
    return nn.Sequential(*layers[:-1])


def flat_mlp(*widths: int) -> nn.Sequential:
    """`mlp` on flattened images."""
    return nn.Sequential(nn.Flatten(), *mlp(*widths))


def conv_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """C(kernel) and ReLU, with 'same' padding if the stride is 1, else symmetric padding."""
    padding = "same" if stride == 1 else kernel // 2
    return [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding), nn.ReLU()]


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def conv_bn_conv() -> list[nn.Module]:
    """Three affine layers in a row, on 2 channels."""
    return [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 2), nn.ReLU()]


def mnist_conv() -> nn.Sequential:
    """C4 MP2 C6 C6 MP2 D8 D4 on 1x8x8."""
    convs = [*conv_relu(1, 4), nn.MaxPool2d(2), *conv_relu(4, 6), *conv_relu(6, 6), nn.MaxPool2d(2)]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 4))


def vgg(*, norm: bool = False, pool: type[nn.Module] | None = nn.MaxPool2d) -> nn.Sequential:
    """2xC3 pool 2xC4 pool D8 D3 on 3x8x8; no pooling for `pool=None`."""
    block = conv_bn_relu if norm else conv_relu
    pools: list[nn.Module] = [pool(2)] if pool else []
    convs = [*block(3, 3), *block(3, 3), *pools, *block(3, 4), *block(4, 4), *pools]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(16 if pool else 256, 8), nn.ReLU(), nn.Linear(8, 3))


def vgg_strides() -> nn.Sequential:
    """C3 C3/s2 C4 C4/s2 D8 D3 on 3x8x8."""
    convs = [*conv_relu(3, 3), *conv_relu(3, 3, stride=2), *conv_relu(3, 4), *conv_relu(4, 4, stride=2)]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def all_cnn() -> nn.Sequential:
    """C4 C4/s2 C6 C6/s2 C6 C6(1x1) C3(1x1) and global average pooling, on 3x8x8."""
    convs = [*conv_relu(3, 4), *conv_relu(4, 4, stride=2), *conv_relu(4, 6), *conv_relu(6, 6, stride=2)]
    head = [*conv_relu(6, 6), *conv_relu(6, 6, kernel=1), nn.Conv2d(6, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*convs, *head)


def basic_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """ResNet v1: ReLU after the sum, a 1x1 projection where the shape changes."""
    body = nn.Sequential(*conv_bn_relu(inputs, outputs, stride=stride), *conv_bn_relu(outputs, outputs)[:2])
    same = stride == 1 and inputs == outputs
    skip = None if same else nn.Sequential(*conv_bn_relu(inputs, outputs, kernel=1, stride=stride)[:2])
    return nn.Sequential(Residual(body, skip), nn.ReLU())


def resnet() -> nn.Sequential:
    """A stem, two basic blocks, global average pooling, on 3x8x8."""
    stem = [*conv_bn_relu(3, 4), nn.MaxPool2d(3, stride=2, padding=1)]
    blocks = [basic_block(4, 4, 1), basic_block(4, 6, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def resnet_v2() -> nn.Sequential:
    """Preactivation blocks (batch norm and ReLU before each convolution), on 3x6x6."""

    def block() -> nn.Module:
        first = [nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)]
        return Residual(nn.Sequential(*first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)))

    pool = [nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), block(), block(), *pool, nn.Linear(4, 3))


def densenet() -> nn.Sequential:
    """Two dense layers, a transition with average pooling, one more, on 2x8x8."""

    def dense(channels: int) -> nn.Module:
        new = [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 2, 3, padding=1)]
        return join_cat(nn.Identity(), nn.Sequential(*new))

    transition = [nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.AvgPool2d(2)]
    tail = [nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), dense(4), dense(6), *transition, dense(4), *tail)


def shufflenet() -> nn.Sequential:
    """A ShuffleNet v2 unit: split the channels, transform one half, concatenate, shuffle; on 2x6x6."""
    half = nn.Sequential(*conv_bn_relu(2, 2, 1), *conv_bn_relu(2, 2, groups=2)[:2], *conv_bn_relu(2, 2, 1))
    left, right = Apply("left", lambda x: x.chunk(2, 1)[0]), Apply("right", lambda x: x.chunk(2, 1)[1])
    unit = [join_cat(left, nn.Sequential(right, half)), channel_shuffle(2)]
    pool = Apply("global_mean", lambda x: x.mean([2, 3]))
    return nn.Sequential(*conv_bn_relu(2, 4), *unit, pool, nn.Linear(4, 3))


def inverted_residual() -> nn.Sequential:
    """A MobileNet v2 block: expand, depthwise with ReLU6, project, add; on 2x6x6."""

    def relu6(layers: list[nn.Module]) -> list[nn.Module]:
        return [*layers[:-1], nn.ReLU6(inplace=True)]

    body = [*relu6(conv_bn_relu(3, 6, 1)), *relu6(conv_bn_relu(6, 6, groups=6)), *conv_bn_relu(6, 3, 1)[:2]]
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(3, 3)]
    return nn.Sequential(*relu6(conv_bn_relu(2, 3)), Residual(nn.Sequential(*body)), *tail)


def inception() -> nn.Sequential:
    """Branches of 1x1, 3x3 and a pooled 1x1 convolution side by side; on 2x6x6."""
    pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(3, 2, 1), nn.ReLU())
    branches = [nn.Sequential(*conv_relu(3, 2, 1)), nn.Sequential(*conv_relu(3, 2)), pooled]
    return nn.Sequential(*conv_relu(2, 3), join_cat(*branches), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 3))


def unet() -> nn.Sequential:
    """Down, a transposed convolution up, and a skip concatenated; on 2x6x6."""
    inner = nn.Sequential(nn.MaxPool2d(2), *conv_relu(3, 4), nn.ConvTranspose2d(4, 3, 2, stride=2), nn.ReLU())
    mean = Apply("mean", lambda x: x.mean([2, 3]))
    return nn.Sequential(*conv_relu(2, 3), join_cat(nn.Identity(), inner), *conv_relu(6, 3, 1), mean)


def maxout() -> nn.Sequential:
    """Maxout layers: the maximum over pieces of a Linear layer."""

    def layer(inputs: int, outputs: int, pieces: int) -> list[nn.Module]:
        split = Apply(f"maxout({pieces})", lambda x: x.view(x.shape[0], outputs, pieces).amax(-1))
        return [nn.Linear(inputs, outputs * pieces), split]

    return nn.Sequential(*layer(4, 5, 3), *layer(5, 4, 2), nn.Linear(4, 3))


def two_towers() -> nn.Sequential:
    """The difference of two ReLU networks."""
    return nn.Sequential(Join("sub", lambda parts: parts[0] - parts[1], mlp(3, 6, 3), mlp(3, 5, 3)))


def max_of(*branches: nn.Module) -> Join:
    """The elementwise maximum of two branches."""
    return Join("maximum", lambda parts: torch.maximum(parts[0], parts[1]), *branches)


def residual_mlp() -> nn.Sequential:
    """Residual sums around an MLP and around a bare linear layer."""
    return nn.Sequential(Residual(mlp(4, 5, 4)), nn.ReLU(), Residual(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 3))


class PatchMLP(nn.Module):
    """One small MLP applied to each of P patches side by side, then a linear layer: x (B, P, d) -> (B, s)."""

    def __init__(self, patches: int, features: int, logits: int) -> None:
        super().__init__()
        self.patch, self.head = mlp(features, 4, 3), nn.Linear(patches * 3, logits)

    def forward(self, x: Tensor) -> Tensor:
        batch, patches, features = x.shape
        h = self.patch(x.view(batch * patches, features))
        return self.head(torch.relu(h.view(batch, -1)))
