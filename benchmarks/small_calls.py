"""Small calls, warm and traced before: milliseconds of ``tp.count_cells`` and ``tp.linear_regions`` on [−1, 1]².

Processor time, the least and the median of many calls, with one thread and with the default.
2-16×3 has 178 cells; 2-16×1 is one hidden layer.

    python -m benchmarks.small_calls
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from rich.table import Table

import tropica as tp
from benchmarks.cells import model_of
from benchmarks.report import show

BAR = 1.0
CALLS = 300


def milliseconds(work: Callable[[], object]) -> str:
    """The least and the median processor time of a call."""
    spent = []
    for _ in range(CALLS):
        start = time.process_time()
        work()
        spent.append((time.process_time() - start) * 1e3)
    return f"{min(spent):.2f} / {statistics.median(spent):.2f}"


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    table = Table(title=f"Small calls, least / median processor time in ms, bar {BAR:g}")
    for heading in ("network", "cells", "count_cells", "linear_regions", "linear_regions, all threads"):
        table.add_column(heading)
    domain = tp.Box(-1, 1, d=2)
    for name in ("2-16x3", "2-16x1"):
        net = tp.trace(model_of(name), torch.zeros(2, 2, dtype=torch.float64))
        works: tuple[Callable[[], object], ...] = (
            lambda net=net: tp.count_cells(net, domain, threads=1),
            lambda net=net: tp.linear_regions(net, domain, threads=1),
            lambda net=net: tp.linear_regions(net, domain),
        )
        table.add_row(name, str(int(tp.count_cells(net, domain))), *map(milliseconds, works))
    show(table, "small_calls")


if __name__ == "__main__":
    main()
