"""A long count of cells as a stream: processor seconds, cells a second, and the curve of resident memory, on one thread.

3-464×3 (three hidden layers of 464 units, PyTorch's own initial weights of seed 0) on [−1, 1]³ has about 10⁸ cells.

    python -m benchmarks.streams [WIDTHxDEPTH [MAX_SECONDS [volumes]]]

With ``volumes`` the cells' volumes are summed, too: they must add up to 8.
"""

from __future__ import annotations

import sys
import time

import torch
from rich.table import Table

from benchmarks.evaluation import resident
from benchmarks.regions import Case
from benchmarks.report import show
from tropica.regions.engine.cell_blocks import VOLUMES, make_problem, search_blocks
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower


def main() -> None:
    """Count, and print a row from time to time, and one at the end."""
    torch.set_num_threads(1)
    width, depth = (int(n) for n in (sys.argv[1] if len(sys.argv) > 1 else "464x3").split("x"))
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 2400.0
    want = frozenset((VOLUMES,)) if "volumes" in sys.argv[3:] else frozenset[str]()
    case = Case(3, (width,) * depth, 0)
    problem, counters = make_problem(lower(case.traced(), simplify=False), case.domain), Counters()
    table = Table(title=f"Cells of {case.name} on the box as a stream, one thread")
    for heading in (
        "cells",
        "processor s",
        "s by the clock",
        "cells a processor s",
        "resident MB",
        "signs: floats / exact / undecided",
    ):
        table.add_column(heading)
    begun, clock, cells, volume, stopped = time.process_time(), time.perf_counter(), 0, 0.0, False

    def row() -> None:
        spent, decided = time.process_time() - begun, counters.by_filter + counters.at_vertices
        numbers = f"{cells:,}", f"{spent:.0f}", f"{time.perf_counter() - clock:.0f}", f"{cells / max(spent, 1e-9):,.0f}"
        table.add_row(*numbers, f"{resident('VmRSS'):.0f}", f"{decided:,} / {counters.exactly:,} / {counters.undecided:,}")
        print(*numbers, f"{resident('VmRSS'):.0f} MB", file=sys.stderr, flush=True)

    shown = 10.0
    for block in search_blocks(problem, want, counters=counters):
        cells += len(block)
        volume += 0.0 if block.volumes is None else float(block.volumes.sum())
        spent = time.process_time() - begun
        if spent > shown:
            row()
            shown *= 1.5
        if spent > limit:
            stopped = True
            break
    row()
    ending = f"stopped after {limit:.0f} s" if stopped else "complete"
    volumes = f"; volumes add up to {volume:.12f}" if want else ""
    table.caption = f"{ending}; peak memory {resident('VmHWM'):.0f} MB{volumes}; certified: {counters.undecided == 0}"
    show(table, "streams")


if __name__ == "__main__":
    main()
