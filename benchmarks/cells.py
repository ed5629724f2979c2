"""Cells of random networks, counted and with maps, volumes and sign vectors: the engine, ``linear_regions``, the prototype.

One thread, processor time, [−1, 1]^d. The signs that each tier decided stand beside every figure. The prototype is timed where
the environment variable TROPICA_PROTOTYPE names its folder; it has neither error bounds nor an exact fallback.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

import tropica as tp
from tropica.regions.domains.constructors import Box
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VOLUMES, make_problem, search_blocks
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower

CASES = {
    "2-16x3": 178,
    "2-64x3": 6668,
    "2-128x4": 29584,
    "2-256x3": 79783,
    "3-32x3": 20724,
    "3-64x3": 214595,
    "3-128x3": 1750644,
    "4-16x2": 6658,
    "5-12x2": 4682,
}
"""Networks d-n×L and their numbers of cells."""
COMPLEXES = 250_000
"""``tp.linear_regions``, which relates the cells, is timed up to so many."""
RESULTS = frozenset((SIGNS, VOLUMES, MAPS))


def model_of(name: str) -> nn.Sequential:
    """The network of a name, with PyTorch's own initial weights of seed 0."""
    d, rest = name.split("-")
    width, depth = map(int, rest.split("x"))
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise((int(d), *[width] * depth, 1)):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval().requires_grad_(False)


def processor_time(run: Callable[[], object], rounds: int) -> float:
    """The least processor time of some rounds, in seconds."""
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        run()
        least = min(least, time.process_time() - start)
    return least


def prototype(name: str, model: nn.Sequential) -> Callable[[int], Any] | None:
    """The prototype's numba kernel: a function of its mode (0 counts, 2 makes everything); None without its folder."""
    folder = os.environ.get("TROPICA_PROTOTYPE")
    if not folder or name[0] not in "23":
        return None
    for path in (folder, str(Path(folder) / "numba")):
        if path not in sys.path:
            sys.path.insert(0, path)
    drive: Any = import_module("drive")
    kernel: Any = import_module(f"nb{name[0]}")
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "w").mkdir()
        for k, layer in enumerate(x for x in model if isinstance(x, nn.Linear)):
            np.save(Path(place) / "w" / f"{name}_W{k}.npy", layer.weight.numpy())
            np.save(Path(place) / "w" / f"{name}_b{k}.npy", layer.bias.numpy())
        drive.HERE = place
        net = drive.load(name)
    return lambda mode: kernel.run(net, mode)


def row(name: str, known: int) -> list[str]:
    """One network's figures: microseconds a cell."""
    model = model_of(name)
    net = tp.trace(model, torch.zeros(2, int(name[0]), dtype=torch.float64))
    rounds = 5 if known < 50_000 else 1
    counters = Counters()

    def run(want: frozenset[str], counters: Counters | None = None) -> int:
        problem = make_problem(lower(net, simplify=False), Box(-1, 1, d=int(name[0])))
        return sum(len(block) for block in search_blocks(problem, want=want, counters=counters))

    found = run(frozenset(), counters)
    count, full = (processor_time(lambda want=want: run(want), rounds) for want in (frozenset[str](), RESULTS))
    whole = "–"
    if known <= COMPLEXES:
        domain = tp.Box(-1, 1, d=int(name[0]))
        alone = processor_time(lambda: tp.linear_regions(net, domain), 1)
        whole = f"{alone / known * 1e6:.1f}"
    peer = prototype(name, model)
    theirs = "–"
    if peer is not None:
        peer(0)
        plain, everything = processor_time(lambda: peer(0), rounds), processor_time(lambda: peer(2), rounds)
        theirs = f"{plain / known * 1e6:.2f} / {everything / known * 1e6:.2f} ({count / plain:.2f} / {full / everything:.2f})"
    return [
        name,
        f"{found:,}{'' if found == known else f' EXPECTED {known:,}'}",
        f"{count / found * 1e6:.2f} / {full / found * 1e6:.2f}",
        theirs,
        whole,
        f"{counters.by_filter:,} / {counters.at_vertices:,} / {counters.exactly:,}",
    ]


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    table = Table(title="Cells on [−1, 1]^d: one thread, processor time in µs a cell, counting / with signs, volumes and maps")
    for heading in (
        "network",
        "cells",
        "engine",
        "prototype (ratio)",
        "linear_regions",
        "signs: filter / vertices / exact",
    ):
        table.add_column(heading)
    for name in sys.argv[1:] or CASES:
        table.add_row(*row(name, CASES[name]))
    show(table, "cells")


if __name__ == "__main__":
    main()
