"""The cost of the store: extraction to disk against extraction in memory, opening, evaluation from memory-mapped shards.

Floor: extraction to disk cannot be faster than in memory; what it adds is SHA-256 of points and terms, and the writes. Bars:
1.10 × extraction in memory, 50 ms to open 1 GB, 90 % of the rate of terms in memory (warm cache, once compared with the
checksums).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from rich.table import Table

import tropica as tp
from benchmarks.evaluation import synthetic
from benchmarks.networks import trained
from benchmarks.timing import in_turns, median, ratio

POINTS = 20_000
ROUNDS = 3


def overhead(folder: Path) -> tuple[str, float, float]:
    """The network, seconds of extraction in memory, and the ratio of extraction to disk, with a given decomposition."""
    case = trained("conv", 2)
    x = case.train.inputs[:POINTS]
    net = tp.trace(case.model, x[:2])
    decomposition = tp.decompose(net, method="paper")
    number = 0

    def to_disk() -> None:
        nonlocal number
        number += 1
        tp.extract(net, x, decomposition, out=folder / f"terms{number}")

    seconds = in_turns({"memory": lambda: tp.extract(net, x, decomposition), "disk": to_disk}, ROUNDS, warmup=1)
    return f"{case.title}, {len(x):,} points", median(seconds["memory"]), ratio(seconds, "disk", "memory")


def opening(folder: Path) -> tuple[float, float]:
    """GB of a store, and milliseconds to open it (the median of 9)."""
    terms, _ = synthetic(40_000, 1, 3072)
    terms.save(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    taken = []
    for _ in range(9):
        start = time.perf_counter()
        tp.load_terms(folder)
        taken.append(time.perf_counter() - start)
    return size / 1e9, 1000 * median(taken)


def mapped(folder: Path) -> tuple[float, float, float]:
    """Seconds of a prediction in memory; the relative rates from the store: the first time, with checksums, and later."""
    terms, x = synthetic(POINTS, 10_000, 784)
    terms.save(folder)
    in_memory, from_store = tp.ExtractedFunction(terms), tp.ExtractedFunction(tp.load_terms(folder))
    work = {
        "memory": lambda: in_memory.predict(x),
        "first": lambda: tp.ExtractedFunction(tp.load_terms(folder)).predict(x),
        "again": lambda: from_store.predict(x),
    }
    seconds = in_turns(work, 7)
    return median(seconds["memory"]), ratio(seconds, "memory", "first"), ratio(seconds, "memory", "again")


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    table = Table(title=f"The store, float32, {torch.get_num_threads()} threads")
    for heading in ("what", "measured", "bar"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory(prefix="tropica-bench-") as name:
        folder = Path(name)
        title, seconds, cost = overhead(folder)
        table.add_row(f"extraction to disk / in memory ({title}; {seconds:.1f} s)", f"{cost:.3f}", "1.10")
        size, milliseconds = opening(folder / "large")
        table.add_row(f"opening {size:.2f} GB", f"{milliseconds:.1f} ms", "50 ms")
        seconds, first, again = mapped(folder / "mapped")
        what = f"evaluation from the store, {POINTS:,} × 10,000, d = 784 ({seconds:.2f} s in memory)"
        table.add_row(f"{what}, warm cache", f"{again:.1%}", "90 %")
        table.add_row(f"{what}, the first time: with all checksums", f"{first:.1%}", "–")
    show(table, "store")


if __name__ == "__main__":
    main()
