"""Speed and memory of evaluating N^(X), against torch.matmul on the same blocks.

Floor: terms × points × d multiply-adds for a⁺ at every point, in the largest product that the machine computes at full speed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

import tropica as tp
from benchmarks.timing import in_turns, median, ratio
from tropica.terms.affine_functions import BLOCK_SIZES
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms, TermBlock


def synthetic(terms: int, points: int, d: int) -> tuple[LinearTerms, Tensor]:
    """Random terms and points of the size of a trained network's (gradients of norm 1, inputs in [0, 1])."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    labels = torch.randint(0, 10, (terms,), generator=generator)
    local, minus = normal(terms, d) / d**0.5, normal(terms, d) / d**0.5
    block = TermBlock(labels, local, normal(terms).double(), minus, normal(terms).double())
    certificate = Certificate.unchecked("float32")
    made = LinearTerms([block], torch.zeros(d, dtype=torch.float64), (d,), 10, "synthetic", certificate)
    return made, torch.rand(points, d, generator=generator)


def products(terms: LinearTerms, x: Tensor) -> None:
    """torch.matmul of the same blocks alone."""
    weight = terms.blocks[0].local
    for low in range(0, len(weight), BLOCK_SIZES.functions):
        rows = weight[low : low + BLOCK_SIZES.functions].T
        for start in range(0, len(x), BLOCK_SIZES.points):
            torch.matmul(x[start : start + BLOCK_SIZES.points], rows)


def extra_memory(terms: int, points: int, d: int) -> str:
    """Peak memory of one prediction beyond what was resident before, in MB, in a process of its own ("–" except on Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        return "–"
    code = (
        "from benchmarks.evaluation import resident, synthetic; import tropica as tp\n"
        f"terms, x = synthetic({terms}, {points}, {d}); f = tp.ExtractedFunction(terms)\n"
        "f.predict(x[:4])\n"  # the libraries' own buffers
        "open('/proc/self/clear_refs', 'w').write('5')\n"  # the peak starts again from here
        "before = resident('VmRSS'); f.predict(x); print(resident('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return f"{float(done.stdout.split()[-1]):.0f}"


def resident(entry: str) -> float:
    """Memory of this process in MB: resident now (VmRSS), or at the peak since the last reset (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    title = "Evaluating N^(X), float32; floor: torch.matmul on the same blocks "
    title += f"({BLOCK_SIZES.functions} terms × {BLOCK_SIZES.points} points)"
    table = Table(title=title)
    for heading in (
        "terms",
        "points",
        "d",
        "matmul s",
        "GFLOP/s",
        "labels s",
        "share of matmul (bar 85 %)",
        "values, share",
        "MB",
    ):
        table.add_column(heading)
    for d in (784, 3072):
        terms, points = 20_000, 10_000
        terms_in_memory, x = synthetic(terms, points, d)
        f = tp.ExtractedFunction(terms_in_memory)
        work = {"matmul": lambda: products(terms_in_memory, x), "labels": lambda: f.predict(x), "values": lambda: f(x)}  # noqa: B023
        seconds = in_turns(work, 7 if d < 1000 else 3)
        table.add_row(
            f"{terms:,}",
            f"{points:,}",
            str(d),
            f"{median(seconds['matmul']):.2f}",
            f"{2e-9 * terms * points * d / median(seconds['matmul']):.0f}",
            f"{median(seconds['labels']):.2f}",
            f"{ratio(seconds, 'matmul', 'labels'):.1%}",
            f"{2 * ratio(seconds, 'matmul', 'values'):.1%}",
            extra_memory(terms, points, d),
        )
    table.caption = "values: all N_i^(X)(x), two products (a⁺ and a⁻); MB: peak beyond terms and points (bar 256)"
    show(table, "evaluation")


if __name__ == "__main__":
    main()
