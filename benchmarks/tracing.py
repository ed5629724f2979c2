"""Tracing against ``torch.export`` alone and a forward pass: ``python -m benchmarks.tracing``."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from rich.table import Table
from torch import nn
from torch.export import Dim

import tropica as tp
from benchmarks.families import FAMILIES
from benchmarks.report import show

PIXELS = 64
ROUNDS = 3


def export(model: nn.Module, x: torch.Tensor) -> None:
    """``torch.export`` alone, as it is used for tracing."""
    torch.export.export(model, (x,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False)


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(model: nn.Module, x: torch.Tensor) -> tuple[float, float, float]:
    """Processor seconds of a forward pass, an export and a trace."""
    with torch.no_grad():
        model(x)
        return seconds(lambda: model(x)), seconds(lambda: export(model, x)), seconds(lambda: tp.trace(model, x))


def main() -> None:
    """Print for each family the seconds of a trace, of an export and of a forward pass on the same two points."""
    table = Table("family", "forward", "export", "trace", "trace / export", "trace / (2 export + 2 forward)")
    table.title = f"Tracing: processor seconds of one thread at {PIXELS} pixels, medians of {ROUNDS} rounds"
    names = sys.argv[1:] or list(FAMILIES)
    torch.set_num_threads(1)  # threads that wait for each other on a loaded machine count as processor time
    x = torch.randn(2, 3, PIXELS, PIXELS)
    export(nn.Linear(PIXELS, 1), x)  # torch.export loads most of its code in the first call
    for name in names:
        rounds = [measured(FAMILIES[name]().eval(), x) for _ in range(ROUNDS)]
        forward, exported, traced = (statistics.median(column) for column in zip(*rounds, strict=True))
        budget = 2 * exported + 2 * forward
        table.add_row(
            name, f"{forward:.2f}", f"{exported:.2f}", f"{traced:.2f}", f"{traced / exported:.2f}", f"{traced / budget:.2f}"
        )
    show(table, "tracing")


if __name__ == "__main__":
    main()
