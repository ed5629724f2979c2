"""Cells that processes share out: those of a single one, in its order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import tropica as tp
from tests.regions.test_complex import mlp, traced
from tests.terms.test_store_processes import free_port
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VERTICES, VOLUMES, concatenated
from tropica.regions.engine.cell_stream import problem_on, stream
from tropica.regions.engine.shared import all_blocks, count_shared
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.lowering import lower
from tropica.runtime.processes import Processes

WANT = frozenset((SIGNS, VOLUMES, MAPS, VERTICES))
DOMAINS = {"box": tp.Box(-1, 1, d=2), "space": tp.Space(2)}


class Threads(Processes):
    """A process of a run whose processes are threads of one."""

    def __init__(self, rank: int, values: list[Any], barrier: threading.Barrier) -> None:
        super().__init__(rank, len(values))
        self.values, self.barrier = values, barrier

    def all_gather(self, value: Any) -> list[Any]:
        self.values[self.rank] = json.loads(json.dumps(value))
        self.barrier.wait(60)
        found = list(self.values)
        self.barrier.wait(60)
        return found


def on_all(size: int, work: Any) -> list[Any]:
    """What the processes of a run return."""
    found: list[Any] = [None] * size
    values, barrier = [None] * size, threading.Barrier(size)

    def run(rank: int) -> None:
        found[rank] = work(Threads(rank, values, barrier))

    threads = [threading.Thread(target=run, args=(r,)) for r in range(size)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found


@pytest.mark.parametrize("name", DOMAINS)
def test_shares(name: str) -> None:
    problem = problem_on(lower(traced(mlp(2, 32, 32, 1), 2)), DOMAINS[name])
    alone = concatenated(list(stream(problem, WANT)))
    for found in on_all(2, lambda p: concatenated(all_blocks(problem, WANT, p, 1, Counters()))):
        assert {row.tobytes() for row in found.signs} == {row.tobytes() for row in alone.signs}
        if name == "box":
            for part in ("signs", "volumes", "maps", "vertices", "facets"):
                np.testing.assert_array_equal(getattr(found, part), getattr(alone, part))
    counters = [Counters(), Counters()]
    counts = on_all(2, lambda p: count_shared(problem, p, 1, counters[p.rank]))
    assert counts == [len(alone)] * 2
    assert counters[0] == counters[1]
    assert counters[0].cuts > 0


def test_refusals() -> None:
    net = traced(mlp(2, 4, 1), 2)
    for call in (tp.count_cells, tp.linear_regions):
        with pytest.raises(tp.InputError, match="distributed=True is for all cells"):
            call(net, DOMAINS["box"], distributed=True, max_cells=10)
        with pytest.raises(tp.InputError, match="needs torchrun"):
            call(net, DOMAINS["box"], distributed=True)


WORKER = """
import tropica as tp
from tests.regions.test_complex import mlp, traced
net = traced(mlp(2, 32, 32, 2), 2)
for domain in (tp.Box(-1, 1, d=2), tp.Space(2)):
    cx = tp.linear_regions(net, domain, distributed=True)
    count = tp.count_cells(net, domain, distributed=True)
    print(int(count), count.certified, len(cx), len(cx.regions), len(cx.adjacency), cx.certified, cx.boundary().measure)
"""


@pytest.mark.slow
def test_two_processes_of_torch_distributed() -> None:
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER], env=environment | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=240)[0].splitlines() for process in started]
    assert printed[0] == printed[1]
    net = traced(mlp(2, 32, 32, 2), 2)
    for line, domain in zip(printed[0], DOMAINS.values(), strict=True):
        cx = tp.linear_regions(net, domain)
        assert line.split()[:6] == [str(x) for x in (len(cx), True, len(cx), len(cx.regions), len(cx.adjacency), True)]
        assert float(line.split()[6]) == pytest.approx(cx.boundary().measure)
