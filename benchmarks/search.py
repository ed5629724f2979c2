"""Labels by exact search against torch.matmul of the full product, in turns, in processor seconds of one thread.

Floor of the search: terms × points × K multiply-adds of its first product (K = 64 … 512 columns, in bfloat16 where the
processor is fast at it) and one pass over its results; the full product takes terms × points × d. Bars: 3 × on MNIST FCN4,
5 × on Conv. Names as arguments (``fcn4``, ``conv``, ``cifar10-conv``, ``random``) choose rows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.table import Table
from torch import Tensor

import tropica as tp
from benchmarks.evaluation import synthetic
from benchmarks.networks import trained
from tropica.terms.affine_functions import BLOCK_SIZES
from tropica.terms.linear_terms import LinearTerms

ROUNDS = 3
STORES = "TROPICA_STORES"
"""Folders of terms that replace an extraction, as name=folder:name=folder (extracting those of Conv takes minutes)."""


def cases() -> list[tuple[str, LinearTerms, Tensor]]:
    """Terms of all training points, and the test points."""
    given = dict(item.split("=", 1) for item in os.environ.get(STORES, "").split(":") if item)
    found, wanted = [], sys.argv[1:]
    for name, epochs, data in (("fcn4", 4, None), ("conv", 2, None), ("conv", 2, "cifar10")):
        title = name if data is None else f"{data}-{name}"
        if wanted and title not in wanted:
            continue
        if title in given:
            test = tp.load_data(data or "mnist", split="test")
            found.append((f"{title} ({Path(given[title]).name})", tp.load_terms(given[title], check="none"), test.inputs))
            continue
        try:
            case = trained(name, epochs, data)
        except tp.DataError:
            continue
        found.append((case.title, tp.extract(case.model, case.train.inputs, check="none"), case.test.inputs))
    if not wanted or "random" in wanted:
        found.append(("random terms", *synthetic(20_000, 10_000, 784)))
    return found


def products(weight: Tensor, x: Tensor) -> None:
    """The full product, in blocks."""
    for low in range(0, len(weight), BLOCK_SIZES.functions):
        rows = weight[low : low + BLOCK_SIZES.functions].T
        for start in range(0, len(x), BLOCK_SIZES.points):
            torch.matmul(x[start : start + BLOCK_SIZES.points], rows)


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    torch.set_num_threads(1)
    table = Table(title="Labels by exact search, float32, one thread, processor seconds; floor and bar: see the module")
    for heading in ("terms of", "terms × points × d", "matmul s", "used", "search s", "× matmul", "index s", "× with index"):
        table.add_column(heading)
    table.add_column("left after each product")
    table.add_column("shares of time")
    for title, terms, x in cases():
        weight = torch.cat([block.local + block.minus for block in terms.blocks])
        f = tp.ExtractedFunction(terms, search="exact")
        f.predict(x)
        report, index = f.search_report, f.search_report.seconds.get("index", 0.0)
        report.seconds.clear()
        rows = x.flatten(1)
        turns = [(seconds(lambda: products(weight, rows)), seconds(lambda: f.predict(x))) for _ in range(ROUNDS)]  # noqa: B023
        total = sum(report.seconds.values()) or 1.0
        table.add_row(
            title,
            f"{len(terms):,} × {len(x):,} × {weight.shape[1]}",
            f"{median(full for full, _ in turns):.2f}",
            report.used,
            f"{median(mine for _, mine in turns):.2f}",
            f"{median(full / mine for full, mine in turns):.2f}",
            f"{index:.2f}",
            f"{median(full / (mine + index) for full, mine in turns):.2f}",
            ", ".join(f"{share:.2%}" for share in report.left[:-1]) or report.why,
            ", ".join(f"{name} {part / total:.0%}" for name, part in report.seconds.items()),
        )
    show(table, "search")


if __name__ == "__main__":
    main()
