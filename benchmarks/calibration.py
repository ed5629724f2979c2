"""Calibration: passes over the data, and K relative to the smallest fixed point (iterated to convergence)."""

from __future__ import annotations

import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.architectures import prepared
from benchmarks.networks import images, trained
from benchmarks.timing import in_turns, median
from tests.oracles.fixed_point import tight
from tropica.decomposition.backward import batch_terms
from tropica.decomposition.dc_decomposition import DCDecomposition


def _largest_ratio(decomposition: DCDecomposition, smallest: DCDecomposition) -> float:
    """The largest ratio of max K to max of the smallest K, over the nonlinearities whose smallest K is above rounding."""
    floor = 1e-6 * max(float(k.max()) for k in smallest.multipliers.values())
    pairs = [(decomposition.multipliers[name], k) for name, k in smallest.multipliers.items() if float(k.max()) > floor]
    return max(float(mine.max() / k.max()) for mine, k in pairs)


def measure(title: str, model: nn.Module, x: Tensor, size: int) -> list[str]:
    """One row of the table."""
    net = tp.trace(model, x[:2])
    decomposition = tp.decompose(net, x, batch_size=size)
    smallest, sweeps = tight(net.to(torch.float64), x.double())  # in float32 rounding prevents convergence
    one = DCDecomposition(net, "none", {})

    def a_pass() -> None:
        for batch in x.split(size):
            batch_terms(one, batch)

    seconds = in_turns({"decompose": lambda: tp.decompose(net, x, batch_size=size), "pass": a_pass}, 3)
    # Without K a pass is one forward and one backward pass: two thirds of the unit in which calibration is measured.
    return [
        title,
        str(len(net.nonlinearities)),
        f"{len(x):,}",
        f"{decomposition.passes:.2f}",
        f"{median(seconds['decompose']) / (1.5 * median(seconds['pass'])):.2f}",
        str(sweeps),
        f"{_largest_ratio(decomposition, smallest):.3f}",
    ]


def passes(title: str, model: nn.Module, x: Tensor, size: int) -> list[str]:
    """One row: the passes over data that does not fit into memory."""
    net = tp.trace(model, x[:2])
    decomposition = tp.decompose(net, x, batch_size=size, progress=True)
    return [title, str(len(net.nonlinearities)), f"{len(x):,}", f"{decomposition.passes:.2f}", "–", "–", "–"]


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    torch.manual_seed(0)
    table = Table(title="Calibration, float32; a pass is one forward and two backward passes over all points")
    for heading in (
        "network",
        "nonlinearities",
        "points",
        "passes, check included (bars 4, 4, 6)",
        "passes by the clock",
        "sweeps of the plain fixed point",
        "K / tight K (bar 1.3)",
    ):
        table.add_column(heading)
    fcn, conv = trained("fcn4", 4), trained("conv", 2)
    table.add_row(*measure(fcn.title, fcn.model, fcn.train.inputs[:20000], 1024))
    table.add_row(*measure(conv.title, conv.model, conv.train.inputs[:2048], 128))
    table.add_row(*passes(conv.title, conv.model, conv.train.inputs, 256))
    pictures, what = images(256)
    table.add_row(*measure(f"{what} ResNet-18", prepared("ResNet-18", pictures), pictures[:128], 32))
    show(table, "calibration")


if __name__ == "__main__":
    main()
