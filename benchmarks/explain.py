"""Seconds of ``tp.explain`` for 100 test points with the terms of all training points of FCN4, and of its parts.

``python -m benchmarks.explain [NETWORK] [POINTS]``: MNIST from TROPICA_DATA, 60,000 terms; else digits. Two passes over the
terms are needed: the five largest a⁺ of each point (``f.top_terms``), and the values and margins of N^(X) (``f(x)``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table

import tropica as tp
from benchmarks.networks import trained
from benchmarks.report import show

ROUNDS = 3


def seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """The least wall and processor seconds of a call."""
    found = []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return min(w for w, _ in found), min(p for _, p in found)


def main(name: str = "fcn4", points: int = 100) -> None:
    """Print the table."""
    network = trained(name, epochs=2)
    f = tp.ExtractedFunction(tp.extract(network.model, network.train, progress=True))
    net = tp.trace(network.model, network.train.inputs[:2])
    x, y = network.test.inputs[:points], network.test.labels[:points]  # type: ignore[index]
    table = Table(
        "call", "seconds", "processor s", title=f"{network.title}: {len(network.train):,} terms, {points} test points"
    )
    calls: dict[str, Callable[[], Any]] = {
        "tp.explain, with the training data": lambda: tp.explain(net, f, x, y, data=network.train),
        "tp.explain, without": lambda: tp.explain(net, f, x, y),
        "f.top_terms(x, 5)": lambda: f.top_terms(x, 5),
        "f(x)": lambda: f(x),
        "f.margin(x)": lambda: f.margin(x),
        "f.predict(x)": lambda: f.predict(x),
        "tp.nearest_neighbors": lambda: tp.nearest_neighbors(network.train, x),
    }
    for text, call in calls.items():
        table.add_row(text, *(f"{s:.2f}" for s in seconds(call)))
    show(table, f"explain; {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(*(part if i == 0 else int(part) for i, part in enumerate(sys.argv[1:3])))  # type: ignore[arg-type]
