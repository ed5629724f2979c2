"""A plane through three images of a trained network with max-pooling: all cells, the decision boundary, a picture, the time.

The network is the small convolutional one (two convolutions with relu and 2 × 2 max-pooling, two dense layers), trained on
scikit-learn's digits. One thread. The floor is one forward pass and, for each logit, one backward pass for every cell, as the
maps need, timed in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from rich.table import Table

import tropica as tp
from benchmarks.networks import Trained, trained
from benchmarks.report import FOLDER, show

CLASSES = (3, 5, 8)
"""The plane goes through the first test image of each of these."""
MARGIN = 0.25
Found = TypeVar("Found")


def plane(found: Trained) -> tuple[tp.Plane, torch.Tensor]:
    """The plane, and the coordinates t of its three images."""
    labels = found.test.labels
    assert labels is not None
    images = [found.test.inputs[(labels == c).nonzero()[0, 0]].double() for c in CLASSES]
    return tp.Plane.through(*images, margin=MARGIN), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """The result of the work, and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def draw(cx: tp.RegionComplex, images: torch.Tensor) -> Figure:
    """The linear regions beside the labels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5))
    tp.plots.regions(cx, by="region", data=images, labels=list(CLASSES), ax=left, title=f"{len(cx.regions):,} linear regions")
    tp.plots.regions(cx, by="label", data=images, labels=list(CLASSES), ax=right, title=f"labels of {len(cx):,} cells")
    figure.tight_layout()
    return figure


def row(found: Trained) -> list[str]:
    """Compute and draw the linear regions on the plane of one network."""
    net = tp.trace(found.model.double(), found.test.inputs[:2].double())
    domain, images = plane(found)
    cx, cells = timed(lambda: tp.linear_regions(net, domain))
    assert isinstance(cx, tp.RegionComplex)
    _, maps = timed(lambda: cx.logits)
    _, same = timed(lambda: len(cx.maps))
    boundary, cut = timed(cx.boundary)
    x = cx.embed(cx.centers[:2048])
    _, floor = timed(lambda: net.local_map(x))
    picture = FOLDER / "plane.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(cx, images).savefig(picture, dpi=200, bbox_inches="tight")
    return [
        found.title,
        f"{sum(nonlinearity.units for nonlinearity in net.nonlinearities):,}",
        f"{len(cx):,}",
        f"{len(cx.regions):,}",
        f"{len(cx.maps):,}",
        "yes" if cx.certified and not cx.undecided_maps and not boundary.undecided else f"no ({cx.undecided:,})",
        f"{cells:.1f}",
        f"{maps:.1f} + {same:.1f}",
        f"{floor * len(cx) / len(x):.1f}",
        f"{boundary.measure:.2f} in {len(boundary):,}, {cut:.1f} s",
        str(picture),
    ]


def main() -> None:
    """Print the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    table = Table(title="A plane through three images, max-pooling: one core, float64")
    headings = ("network", "units", "cells", "regions", "maps", "proven", "cells s", "maps s + distinct s", "floor s")
    for heading in (*headings, "boundary", "picture"):
        table.add_column(heading)
    table.add_row(*row(trained("conv-small", 1, "digits")))
    table.caption = "floor: the maps of all cells, by the rate of 2,048; boundary: its length in inputs, its pieces"
    show(table, "planes")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
