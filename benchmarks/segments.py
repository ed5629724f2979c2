"""Every breakpoint between two points: seconds, and as multiples of one float64 forward pass on 1,000 points.

One thread. The points are N(0, 1) or, for the images, smooth random blobs with a background of zeros, as handwritten digits
have it. Bars: 0.1 s for 784-1024×4, 1 s for a 28×28 CNN with thousands of breakpoints, midpoint error 1e-12.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.timing import in_turns, median, ratio

POINTS = 1000


def dense(*widths: int) -> nn.Module:
    """Linear layers and ReLUs, PyTorch's initialization."""
    layers = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def convolutional(first: int, second: int) -> nn.Module:
    """Two 3×3 convolutions with max-pooling, two dense layers."""
    convs = [nn.Conv2d(1, first, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(25 * second, 64), nn.ReLU(), nn.Linear(64, 10))


def noise() -> Tensor:
    """Two points of N(0, 1)."""
    return torch.randn(2, 1, 28, 28, dtype=torch.float64)


def blobs() -> Tensor:
    """Two images of smooth bright strokes on a background of zeros."""
    coarse = (torch.rand(2, 1, 5, 5, dtype=torch.float64) - 0.5).clamp(min=0) * 2
    return nn.functional.pad(nn.functional.interpolate(coarse, size=(20, 20), mode="bilinear"), (4, 4, 4, 4))


def midpoint_error(found: tp.RegionComplex) -> float:
    """The largest error at the midpoints of all intervals, relative to the network's largest output there."""
    t, (slopes, constants) = found.breakpoints, found.logits
    middle = (t[:-1, None] + t[1:, None]) / 2
    with torch.no_grad():
        expected = torch.cat([found.net(some) for some in found.embed(middle).split(500)]).numpy()
    return float(np.abs(slopes[:, :, 0] * middle + constants - expected).max() / np.abs(expected).max())


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    torch.set_num_threads(1)
    table = Table(title=f"All breakpoints between two points; floor: one float64 forward pass on {POINTS} points, one thread")
    for heading in (
        "network",
        "points",
        "breakpoints",
        "regions",
        "certified",
        "counting, s",
        "s",
        f"forward of {POINTS}, s",
        "ratio",
        "midpoint error",
    ):
        table.add_column(heading)
    networks = {
        "784-1024×4-10 (bar 0.1 s)": dense(784, 1024, 1024, 1024, 1024, 10),
        "C8 MP C16 MP D64 (bar 1 s)": convolutional(8, 16),
        "C16 MP C32 MP D64": convolutional(16, 32),
    }
    for title, model in networks.items():
        torch.manual_seed(0)
        for layer in model.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                layer.reset_parameters()
        net = tp.trace(model.eval(), noise().float())
        for what, make in (("N(0, 1)", noise), ("images", blobs)):
            torch.manual_seed(1)
            a, b = make()
            segment = tp.Segment(a, b)
            found = tp.linear_regions(net, segment, threads=1)
            batch = torch.randn(POINTS, 1, 28, 28, dtype=torch.float64)
            with torch.no_grad():
                work = {
                    "count": lambda net=net, segment=segment: tp.count_cells(net, segment, threads=1),
                    "segment": lambda net=net, segment=segment: tp.linear_regions(net, segment, threads=1),
                    "forward": lambda found=found, batch=batch: found.net(batch),
                }
                seconds = in_turns(work, 5)
            table.add_row(
                title,
                what,
                f"{len(found.cells) - 1:,}",
                f"{len(found.regions):,}",
                "yes" if found.certified else f"{found.undecided} undecided",
                f"{median(seconds['count']):.3f}",
                f"{median(seconds['segment']):.3f}",
                f"{median(seconds['forward']):.3f}",
                f"{ratio(seconds, 'segment', 'forward'):.1f}",
                f"{midpoint_error(found):.1e}",
            )
    show(table, "segments")


if __name__ == "__main__":
    main()
