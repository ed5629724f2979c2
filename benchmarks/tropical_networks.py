"""Networks as tropical maps: seconds to read off the monomials, to prove that none is missing, and to multiply out.

One core. Process time, median of five rounds (one where it takes longer than a second). Weights: PyTorch's own after
``manual_seed(0)``, float64. "multiplied out" is the same map by Minkowski sums and pruning, op by op; "equal": the two
have exactly the same monomials. "essential" is what ``polyhedra.essential`` keeps of F and G.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from rich.table import Table
from torch import nn

import tropica as tp

T = TypeVar("T")
ROUNDS = 5
LONG = 1.0
CASES = [(2, 8, 8, 1), (2, 16, 16, 1), (3, 8, 8, 1), (2, 16, 16, 16, 1), (2, 32, 32, 1), (4, 6, 6, 2)]
BARS = {(2, 8, 8, 1): 0.1, (2, 16, 16, 1): 3.0, (3, 8, 8, 1): 1.5}
MULTIPLIED = {(2, 8, 8, 1), (2, 16, 16, 1), (3, 8, 8, 1)}
"""The largest networks that are also multiplied out."""


def network(*sizes: int) -> tp.PiecewiseLinearNetwork:
    """Linear and ReLU layers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).double().eval()
    return tp.trace(model, torch.zeros(2, sizes[0], dtype=torch.float64))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Median process time, and the result."""
    found: list[float] = []
    while True:
        start = time.process_time()
        result = work()
        found.append(time.process_time() - start)
        if len(found) == ROUNDS or found[0] > LONG:
            return statistics.median(found), result


def terms(tropical: tp.TropicalMap) -> list[tuple[frozenset, frozenset]]:
    """The monomials of F and of G of each output."""
    return [(frozenset(r.f.to_dict().items()), frozenset(r.g.to_dict().items())) for r in tropical]


def networks() -> Table:
    """The table of networks read as maps."""
    table = Table(title="to_tropical")
    for heading in ("network", "cells", "F", "G", "s", "with proof s", "bar s", "essential", "multiplied out s", "equal"):
        table.add_column(heading, justify="right")
    for sizes in CASES:
        net = network(*sizes)
        cells = len(tp.linear_regions(net, tp.Space(sizes[0])))
        tp.to_tropical(net)  # warm
        quick, _ = timed(lambda n=net: tp.to_tropical(n, check=False))
        proved, tropical = timed(lambda n=net: tp.to_tropical(n))
        kept = [len(tp.polyhedra.essential(p.exponents, p.coefficients)) for r in tropical for p in (r.f, r.g)]
        right = "all" if kept == [len(p) for r in tropical for p in (r.f, r.g)] else "NOT ALL"
        row = ["-".join(map(str, sizes)), f"{cells:,}", " ".join(str(len(r.f)) for r in tropical)]
        row += [" ".join(str(len(r.g)) for r in tropical), f"{quick:.3f}", f"{proved:.3f}", f"{BARS.get(sizes, '–')}", right]
        if sizes in MULTIPLIED:
            took, other = timed(lambda n=net: tp.to_tropical(n, method="algebra"))
            row += [f"{took:.2f}", "yes" if terms(other) == terms(tropical) else "NO"]
        table.add_row(*row)
    return table


def round_trips() -> Table:
    """The table of maps turned back into networks."""
    table = Table(title="to_network")
    for heading in ("network", "monomials", "affine layers", "bound", "dense numbers", "sparse numbers", "s"):
        table.add_column(heading, justify="right")
    for sizes in CASES[:3]:
        tropical = tp.to_tropical(network(*sizes))
        took, dense = timed(lambda t=tropical: tp.to_network(t))
        sparse = tp.to_network(tropical, sparse=True)
        most = max(max(len(r.f), len(r.g)) for r in tropical)
        layers = 1 + sum(isinstance(layer, nn.ReLU) for layer in dense)
        numbers = [f"{sum(t.numel() for t in model.state_dict().values()):,}" for model in (dense, sparse)]
        bound = (most - 1).bit_length() + 2
        table.add_row("-".join(map(str, sizes)), f"{most}", f"{layers}", f"{bound}", *numbers, f"{took:.3f}")
    return table


def main() -> None:
    """Print the tables."""
    from benchmarks.report import show

    show(networks(), "to_tropical")
    show(round_trips(), "to_network")


if __name__ == "__main__":
    main()
