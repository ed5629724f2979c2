"""Degenerate networks in the region engine: agreement with rational enumeration, and microseconds a cell.

``agree``: seeded networks of ``tests/degenerate_networks.py`` (d = 1 … 4, every nonlinearity; rounded multiples, combinations,
weights one ulp apart or of few bits, pruned, without biases, rows and layers of any scale), on [−2, 2]^d: the cells of
``tp.iter_cells``, distinct sign vectors, maps and volumes against ``tests/oracles/cells.py``, which shares no code with
``exact/``.
``speed``: processor microseconds a cell, counting, beside the same network in general position.

    python -m benchmarks.degenerate [agree [SECONDS [FIRST_SEED]]] | [speed]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.table import Table
from torch import nn

import tropica as tp
from benchmarks.cells import model_of, processor_time
from benchmarks.report import show
from tropica.regions.engine.cell_blocks import make_problem, search_blocks
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower

NETWORKS = 2000
Change = Callable[[nn.Linear], None]


def agree(seconds: float, first: int) -> None:
    """Check networks until the processor time is spent, and print how many."""
    from tests.degenerate_networks import degenerate_network
    from tests.oracles.cells import enumerate_cells
    from tests.oracles.convex import box
    from tests.regions.test_enumerate_cells import check

    start, checked, wrong = time.process_time(), 0, []
    for seed in range(first, NETWORKS):
        if time.process_time() - start > seconds:
            break
        case = degenerate_network(seed)
        # the oracle has a relu and its max-pool as one window
        cells = tp.iter_cells(case.net, tp.Box(-2, 2, d=case.d), simplify="relu_pool" in case.name, threads=1)
        expected = enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)])
        try:
            check(case, list(cells), expected)
        except AssertionError as error:
            wrong.append(f"{seed}: {str(error).splitlines()[0] if str(error) else 'differs'}")
        checked += 1
    table = Table(title="Degenerate networks against rational enumeration")
    for heading in ("networks", "of", "all equal", "differ", "processor s"):
        table.add_column(heading)
    spent = time.process_time() - start
    table.add_row(f"{checked:,}", f"{NETWORKS:,}", f"{checked - len(wrong):,}", "; ".join(wrong) or "none", f"{spent:.0f}")
    show(table, "degenerate")


def unbiased(layer: nn.Linear) -> None:
    """No constants."""
    layer.bias.zero_()


def int8(layer: nn.Linear) -> None:
    """Weights and constants of 8 bits, over a power of two."""
    for values in (layer.weight, layer.bias):
        step = 2.0 ** np.ceil(np.log2(float(values.abs().max()) / 127))
        values.copy_((values / step).round() * step)


def pruned(layer: nn.Linear) -> None:
    """The 20 % of weights nearest 0 are 0."""
    layer.weight[layer.weight.abs() < layer.weight.abs().quantile(0.2)] = 0.0


def beside(factor: float) -> Change:
    """The second half of the units is a rounded multiple of the first."""

    def change(layer: nn.Linear) -> None:
        n = layer.out_features // 2
        if n:
            layer.weight[n : 2 * n], layer.bias[n : 2 * n] = factor * layer.weight[:n], factor * layer.bias[:n]

    return change


CASES: tuple[tuple[str, str, Change | None, float | None], ...] = (
    ("general position", "2-64x3", None, None),
    ("8-bit weights", "2-64x3", int8, 5),
    ("20 % of the weights pruned", "2-64x3", pruned, 5),
    ("every unit doubled", "2-64x3", beside(1.0), 5),
    ("every unit beside a rounded tenth of itself", "2-64x3", beside(0.1), 10),
    ("general position", "2-64x2", None, None),
    ("no biases", "2-64x2", unbiased, 5),
)
"""What is degenerate, the network, the change of each layer, the bar as a multiple of the network in general position."""


def speed() -> None:
    """Print microseconds a cell, and their ratio to the network in general position above."""
    table = Table(title="Degenerate networks: one thread, counting on [−1, 1]²")
    for heading in ("network", "what is degenerate", "cells", "µs a cell", "ratio (bar)", "signs: floats / exact", "certified"):
        table.add_column(heading)
    generic = 0.0
    for what, name, change, bar in CASES:
        model = model_of(name)
        for layer in model:
            if change is not None and isinstance(layer, nn.Linear):
                change(layer)
        lowered = lower(tp.trace(model, torch.zeros(2, 2, dtype=torch.float64)), simplify=False)
        counters = Counters()

        def run(counters: Counters | None = None, lowered=lowered) -> int:
            problem = make_problem(lowered, tp.Box(-1, 1, d=2))
            return sum(len(block) for block in search_blocks(problem, frozenset(), counters=counters))

        cells = run(counters)
        each = processor_time(run, 3) / cells * 1e6
        generic = each if bar is None else generic
        ratio = "–" if bar is None else f"{each / generic:.1f} ({bar:g})"
        floats = counters.by_filter + counters.at_vertices
        proven = "yes" if not counters.undecided else f"no ({counters.undecided:,})"
        table.add_row(name, what, f"{cells:,}", f"{each:.2f}", ratio, f"{floats:,} / {counters.exactly:,}", proven)
    show(table, "degenerate-speed")


def main() -> None:
    """Run both parts, or the one that is named."""
    torch.set_num_threads(1)
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    if chosen != "agree":
        speed()
    if chosen != "speed":
        agree(float(sys.argv[2]) if len(sys.argv) > 2 else 480.0, int(sys.argv[3]) if len(sys.argv) > 3 else 0)


if __name__ == "__main__":
    main()
