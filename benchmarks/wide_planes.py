"""Cells on planes through images of convolutional networks: MNIST and CIFAR-10 where TROPICA_DATA has them.

One thread; wall-clock and processor seconds. Cells are counted as a stream; their volumes must add up to the domain's.
``unproven`` is the share of signs that rest on floating point alone: networks with very many weights have no exact arithmetic.

    python -m benchmarks.wide_planes [SECONDS] [NAME …]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.architectures import resnet18
from benchmarks.networks import Trained, images, trained
from benchmarks.report import show
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import VOLUMES, make_problem, search_blocks
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower

CLASSES = (3, 5, 8)
Case = tuple[nn.Module, Domain]


def triangle(name: str, data: str) -> Case:
    """A trained network and the triangle of three of its test images."""
    found = trained(name, 1, data)
    return found.model, tp.Triangle(*first_images(found).double().flatten(1))


def first_images(found: Trained) -> Tensor:
    """The first test image of each class."""
    labels = found.test.labels
    assert labels is not None
    return torch.stack([found.test.inputs[torch.nonzero(labels == c)[0, 0]] for c in CLASSES])


def square(model: nn.Module, points: Tensor, side: float) -> Case:
    """The square around the first image in the plane of three, with a side given as a share of the images' distances."""
    x = points.double().flatten(1)
    return model, tp.Plane(x[0], x[1] - x[0], x[2] - x[0], side / 2)


def test_images(name: str, data: str, side: float) -> Case:
    """A trained network and the square around a test image."""
    found = trained(name, 1, data)
    return square(found.model, first_images(found), side)


def vgg11() -> nn.Module:
    """VGG-11 at 32 pixels, with one linear layer (eight convolutions, five max-pools)."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    inputs = 3
    for width, pooled in ((64, 1), (128, 1), (256, 0), (256, 1), (512, 0), (512, 1), (512, 0), (512, 1)):
        conv = nn.Conv2d(inputs, width, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
        inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def resnet() -> nn.Module:
    """ResNet-18 with PyTorch's own weights of seed 0."""
    torch.manual_seed(0)
    return resnet18()


CASES: dict[str, Callable[[], Case]] = {
    "digits conv-small, triangle": lambda: triangle("conv-small", "digits"),
    "MNIST conv-small, triangle": lambda: triangle("conv-small", "mnist"),
    "CIFAR conv-small, triangle": lambda: triangle("conv-small", "cifar10"),
    "MNIST Conv, square of 0.1": lambda: test_images("conv", "mnist", 0.1),
    "VGG-11, square of 0.01": lambda: square(vgg11(), images(3)[0], 0.01),
    "ResNet-18, square of 0.01": lambda: square(resnet(), images(3)[0], 0.01),
}


def row(name: str, seconds: float) -> list[str]:
    """Count the cells of one case within some seconds."""
    model, domain = CASES[name]()
    net = tp.trace(model.double().eval().requires_grad_(False), domain_example(model, domain))
    start, cpu = time.perf_counter(), time.process_time()
    problem = make_problem(lower(net), domain)
    setup = time.process_time() - cpu
    counters, cells, volume, complete = Counters(), 0, 0.0, True
    for block in search_blocks(problem, frozenset((VOLUMES,)), counters=counters):
        cells += len(block)
        assert block.volumes is not None
        volume += float(block.volumes.sum())
        if time.perf_counter() - start > seconds:
            complete = False
            break
    whole = 0.5 if "triangle" in name else float((domain.vertices.max(0) - domain.vertices.min(0)).prod())
    decided = counters.by_filter + counters.at_vertices
    return [
        name,
        f"{sum(len(left.rows) for left in problem.left):,}",
        f"{cells:,}" + ("" if complete else " so far"),
        f"{volume / whole:.9f}",
        f"{time.perf_counter() - start:.0f} / {time.process_time() - cpu:.0f} ({setup:.1f})",
        f"{decided:,} / {counters.exactly:,}",
        "yes" if complete and not counters.undecided else f"no ({counters.undecided / max(decided, 1):.1e})",
    ]


def domain_example(model: nn.Module, domain: Domain) -> Tensor:
    """Zeros of the shape that a network takes."""
    channels = next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    side = round((domain.input_size / channels) ** 0.5)
    return torch.zeros(2, channels, side, side, dtype=torch.float64)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    table = Table(title=f"Cells on planes of convolutional networks, one thread, at most {seconds:.0f} s each")
    headings = ("network", "units left", "cells", "share of the area", "s / processor s (setup)", "signs: floats / exact")
    for heading in (*headings, "certified (unproven)"):
        table.add_column(heading)
    for name in CASES:
        if len(sys.argv) <= 2 or any(word in name for word in sys.argv[2:]):
            table.add_row(*row(name, seconds))
    show(table, "wide_planes")


if __name__ == "__main__":
    main()
