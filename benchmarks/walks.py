"""Walks over neighbors beside the engine that enumerates: cells and seconds. ``python -m benchmarks.walks [agree|NETWORK …]``.

``agree``: 200 random networks, degenerate and thin ones among them, on a box. ``NETWORK``: those in ℝ⁴ with relus on the
outputs (4-8-8-2, 4-8×4-2, 4-10×3-2), on all of space; where ``relucent`` is installed (AGPL: in an environment of its own),
it walks over the same weights in the same run.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from rich.table import Table

import tropica as tp
from benchmarks.report import show
from tests.degenerate_networks import degenerate_network
from tropica.regions.lower.exact_points import exact_points

SPACE = {"4-8-8-2": (4, 8, 8, 2), "4-8×4-2": (4, 8, 8, 8, 8, 2), "4-10×3-2": (4, 10, 10, 10, 2)}


def _number(cx: tp.RegionComplex, cell: tp.Cell) -> int:
    """The number of the cell that holds a walked cell's own point, which is rational."""
    locator = cx.locator
    return int(locator.of_signs(exact_points(locator.lowered, cell.inside).signs, 1)[0])


def a_start(net: Any, domain: tp.Domain, seed: int) -> list[float]:
    """A point of a box of side 4 that is on no border."""
    random = np.random.default_rng(seed)
    while True:
        x = random.uniform(-2, 2, domain.dimension).tolist()
        try:
            tp.cell(net, x, domain=domain)
        except tp.InputError:
            continue
        return x


def agree(count: int = 200) -> None:
    """The same cells from both: each walked cell's point lies in another of the listed cells, and all are met."""
    kinds: Counter[str] = Counter()
    equal = cells = 0
    spent = np.zeros(2)
    for seed in range(count):
        case = degenerate_network(seed, d=1 + seed % 3)
        domain = tp.Box(-2, 2, d=case.d)
        start = time.process_time()
        cx = tp.linear_regions(case.net, domain)
        spent[0] += time.process_time() - start
        start = time.process_time()
        walk = tp.walk_cells(case.net, a_start(case.net, domain, seed), within=domain).run()
        spent[1] += time.process_time() - start
        numbers = [_number(cx, c) for c in walk.cells]
        same = walk.complete and sorted(numbers) == list(range(len(cx)))
        equal, cells = equal + same, cells + len(cx)
        kinds[case.name.split(maxsplit=1)[1].rsplit(" d=")[0].rsplit(maxsplit=1)[0]] += 1
        if not same:
            print(f"DIFFERENT: {case.name}: {len(cx)} cells listed, {len(walk)} walked", flush=True)
        if (seed + 1) % 20 == 0 or seed + 1 == count:
            about = f"{cells:,} cells; linear_regions {spent[0]:.1f} and walk_cells {spent[1]:.1f} processor seconds"
            print(f"{equal} of {seed + 1} networks agree; {about}", flush=True)
    print("kinds:", ", ".join(f"{name} {n}" for name, n in kinds.items()))


def space(names: Sequence[str]) -> None:
    """Counts on all of space."""
    columns = ("network", "count_cells", "s", "walk_cells", "s", "processes", "s", "relucent", "s")
    table = Table(*columns, title="Cells of ℝ⁴, relus on the outputs")
    for name in names:
        net, layers = with_relus(SPACE[name])
        start, times = np.full(4, 0.123), [time.perf_counter()]
        counted = int(tp.count_cells(net, tp.Space(4)))
        times.append(time.perf_counter())
        walked = tp.walk_cells(net, start).run()
        times.append(time.perf_counter())
        processes = os.cpu_count() or 1
        many = tp.walk_cells(net, start, processes=processes).run()
        times.append(time.perf_counter())
        other = relucent_count(layers, start)
        times.append(time.perf_counter())
        s = [f"{t:.1f}" for t in np.diff(times)]
        assert len(many) == len(walked)
        beside = (f"{other:,}", s[3]) if other else ("—", "")
        row = (name, f"{counted:,}", s[0], f"{len(walked):,}", s[1], str(processes), s[2], *beside)
        print(*row, walked.complete, flush=True)
        table.add_row(*row)
    show(table, "walks")


def with_relus(sizes: tuple[int, ...]) -> tuple[tp.PiecewiseLinearNetwork, list[tuple[np.ndarray, np.ndarray]]]:
    """A random network with relus on its outputs, and its layers."""
    import torch

    layers = []
    random = np.random.default_rng(0)
    for m, n in pairwise(sizes):
        weight = (random.standard_normal((n, m)) * (2 / m) ** 0.5).astype(np.float32)
        layers.append((weight, (random.standard_normal(n) * 0.1).astype(np.float32)))
    modules: list[torch.nn.Module] = []
    for weight, bias in layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        modules += [linear, torch.nn.ReLU()]
    return tp.trace(torch.nn.Sequential(*modules).eval(), torch.zeros(2, sizes[0])), layers


def relucent_count(layers: list[tuple[np.ndarray, np.ndarray]], start: np.ndarray) -> int | None:
    """How many cells relucent's breadth-first search finds from the start; None where it is not installed."""
    try:
        relucent = import_module("relucent")
    except ImportError:
        return None
    import torch

    modules: list[torch.nn.Module] = []
    for weight, bias in layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        modules += [linear, torch.nn.ReLU()]
    cx = relucent.Complex(torch.nn.Sequential(*modules))
    cx.bfs(start=torch.from_numpy(start.astype(np.float32)), nworkers=1, verbose=0)
    return len(cx)


if __name__ == "__main__":
    asked = sys.argv[1:] or ["agree", *SPACE]
    if "agree" in asked:
        agree()
    space([name for name in asked if name != "agree"])
