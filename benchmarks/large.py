"""A three-dimensional network of more than ten million cells: seconds and memory, on one core, in a process of its own.

3-232×3 (three hidden layers of 232 units), float64, ``torch.manual_seed(0)``, PyTorch's own initial weights, on [−1, 1]³:
15,150,862 cells.
``TROPICA_LARGE=128x3`` chooses another width and depth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from rich.table import Table

import tropica as tp
from benchmarks.regions import Case, cells
from benchmarks.report import show
from tropica.runtime.memory import peak_memory, size_text

WIDTH, DEPTH = (int(n) for n in os.environ.get("TROPICA_LARGE", "232x3").split("x"))
Found = TypeVar("Found")


def timed(work: Callable[[], Found]) -> tuple[Found, str]:
    """The result of the work, and its processor and wall-clock seconds (which differ on a busy machine) and peak memory."""
    clock, process = time.perf_counter(), time.process_time()
    found = work()
    process, clock = time.process_time() - process, time.perf_counter() - clock
    return found, f"{process:.1f} s ({clock:.1f} s by the clock), peak so far {size_text(peak_memory())}"


def measure() -> dict[str, str]:
    """All numbers, in this process."""
    torch.set_num_threads(1)
    case = Case(3, (WIDTH,) * DEPTH, 0)
    net = case.traced()
    small = Case(2, (8,), 0)
    cells(small.traced(), small.domain)
    before = size_text(peak_memory())
    start = time.process_time()
    cx, seconds = timed(lambda: cells(net, case.domain))
    rate = len(cx) / (time.process_time() - start)
    numbers = {
        "network": case.name,
        "resident before": before,
        "cells": f"{len(cx):,}",
        "bound (Serra)": f"{tp.bounds.serra2018((3, *case.widths)):.3g}",
        "time": seconds,
        "cells a second": f"{rate:,.0f}",
    }
    volume, numbers["volumes"] = timed(lambda: cx.volume)
    numbers["volume of all cells (8)"] = f"{volume:.12f}"
    certified, numbers["patterns, certificate"] = timed(lambda: cx.certified)
    numbers["certified"] = "yes" if certified else f"no ({cx.undecided:,})"
    return numbers


def main() -> None:
    """Print the numbers."""
    code = "import json; from benchmarks.large import measure; print(json.dumps(measure()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    table = Table(title="Millions of cells in three dimensions: one core, float64")
    table.add_column("quantity")
    table.add_column("value")
    for what, found in json.loads(done.stdout.splitlines()[-1]).items():
        table.add_row(what, found)
    show(table, "large")


if __name__ == "__main__":
    main()
