"""Linear regions of random networks: seconds for the cells, and for cells with maps and polygons; peers where installed.

One core, float64, ``torch.manual_seed(0)``, PyTorch's own initial weights. Networks are written d-n×L: d inputs, L hidden
layers of n units, one output. Peers: ``regioncam`` (d = 2, float32), ``affinitree`` (decision trees, by linear programs).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

import tropica as tp
from benchmarks.timing import in_turns, median

ROUNDS = 5
PEER_CELLS = {"regioncam": 100_000, "affinitree": int(os.environ.get("TROPICA_PEER_CELLS", "2000"))}
"""Peers are timed up to this many cells; with TROPICA_PEER_CELLS=200000 affinitree takes minutes a round."""


@dataclass(frozen=True)
class Case:
    """A network on a domain. ``bar``: seconds that cells with maps and, for d = 2, polygons may take."""

    d: int
    widths: tuple[int, ...]
    cells: int
    bounded: bool = True
    biases: bool = True
    bar: float | None = None

    @property
    def name(self) -> str:
        """d-n×L, or all widths for a network with zero biases."""
        if not self.biases:
            return "-".join(map(str, (self.d, *self.widths, 1))) + ", no biases"
        return f"{self.d}-{self.widths[0]}×{len(self.widths)}"

    @property
    def domain(self) -> tp.Box | tp.Space:
        """[−1, 1]^d, or all of space."""
        return tp.Box(-1, 1, d=self.d) if self.bounded else tp.Space(self.d)

    def model(self) -> nn.Sequential:
        """The network."""
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise((self.d, *self.widths, 1)):
            layers += [nn.Linear(a, b), nn.ReLU()]
        model = nn.Sequential(*layers[:-1]).double().eval().requires_grad_(False)
        if not self.biases:
            for layer in model:
                if isinstance(layer, nn.Linear):
                    layer.bias.zero_()
        return model

    def traced(self) -> tp.PiecewiseLinearNetwork:
        """The traced network."""
        return tp.trace(self.model(), torch.zeros(2, self.d, dtype=torch.float64))


CASES = (
    Case(2, (16,) * 3, 178),
    Case(2, (64,) * 3, 6668, bar=0.05),
    Case(2, (128,) * 4, 29584, bar=0.4),
    Case(2, (256,) * 3, 79783, bar=2.0),
    Case(3, (16,) * 2, 1276),
    Case(3, (32,) * 3, 20724),
    Case(3, (64,) * 3, 214595, bar=2.0),
    Case(4, (16,) * 2, 6658),
    Case(5, (12,) * 2, 4682),
    Case(2, (16,) * 3, 1389, bounded=False),
    Case(3, (16,) * 2, 5028, bounded=False),
    Case(4, (16,) * 2, 41280, bounded=False),
    Case(5, (12,) * 2, 30492, bounded=False),
    Case(3, (32,) * 3, 156528, bounded=False),
    Case(2, (16, 16), 62, bounded=False, biases=False),
    Case(3, (10, 10), 408, bounded=False, biases=False),
)


def everything(net: tp.PiecewiseLinearNetwork, domain: tp.Box | tp.Space) -> tp.RegionComplex:
    """Cells, their maps, and for two dimensions their corners in order."""
    cx = cells(net, domain)
    _ = cx.logits
    if cx.dimension == 2:
        _ = cx.corners
    return cx


def cells(net: tp.PiecewiseLinearNetwork, domain: tp.Box | tp.Space) -> tp.RegionComplex:
    """The cells alone."""
    cx = tp.linear_regions(net, domain)
    assert isinstance(cx, tp.RegionComplex)
    return cx


def _regioncam(peer: Any, case: Case, model: nn.Sequential) -> Callable[[], Any] | None:
    if case.d != 2 or not case.bounded:
        return None
    weights = [
        (x.weight.numpy().T.astype(np.float32).copy(), x.bias.numpy().astype(np.float32))
        for x in model
        if isinstance(x, nn.Linear)
    ]

    def run() -> Any:
        camera = peer.Regioncam(size=1.0)
        for i, (weight, bias) in enumerate(weights):
            if i:
                camera.relu()
            camera.linear(weight, bias)
        return camera.num_faces

    return run


def _affinitree(peer: Any, case: Case, model: nn.Sequential) -> Callable[[], Any] | None:
    if case.bounded or not case.biases:
        return None
    linears = [x for x in model if isinstance(x, nn.Linear)]

    def run() -> Any:
        layers = peer.Architecture(case.d)
        for i, layer in enumerate(linears):
            if i:
                layers.relu()
            layers.linear(peer.AffFunc.from_mats(layer.weight.numpy(), layer.bias.numpy()))
        with quiet():
            found = peer.builder.from_layers(layers).num_terminals  # a method in some versions
        return found() if callable(found) else found

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress standard output, also of compiled code."""
    sys.stdout.flush()
    stdout, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(null)


PEERS = {"regioncam": _regioncam, "affinitree": _affinitree}


def peak(number: int) -> str:
    """Peak memory of one run of everything beyond what was resident, in MB, in a process of its own ("–" except on Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        return "–"
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from benchmarks.evaluation import resident; from benchmarks.regions import CASES, everything\n"
        f"case = CASES[{number}]; net = case.traced(); everything(CASES[0].traced(), CASES[0].domain)\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"  # the peak starts again from here
        "before = resident('VmRSS'); everything(net, case.domain); print(resident('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return f"{float(done.stdout.split()[-1]):.0f}"


def _row(number: int, peers: dict[str, Any]) -> list[str]:
    case = CASES[number]
    net, model = case.traced(), case.model()
    work: dict[str, Callable[[], object]] = {
        "cells": lambda: cells(net, case.domain),
        "all": lambda: everything(net, case.domain),
    }
    counts: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, peer in peers.items():
        run = PEERS[name](peer, case, model) if peer is not None else None
        if run is None or case.cells > PEER_CELLS[name]:
            texts[name] = "not installed" if peer is None else "–"
        else:
            work[name], counts[name] = run, run()
    seconds = in_turns(work, ROUNDS if case.cells < 50_000 else 2, 1)
    for name, count in counts.items():
        texts[name] = f"{median(seconds[name]):.3f} ({count:,})"
    found = len(cells(net, case.domain))
    bar = f" (bar {case.bar:g})" if case.bar else ""
    return [
        f"{case.name}{'' if case.bounded else ', space'}",
        f"{found:,}{'' if found == case.cells else f' EXPECTED {case.cells:,}'}",
        f"{median(seconds['cells']):.3f}",
        f"{median(seconds['all']):.3f}{bar}",
        peak(number),
        f"{tp.bounds.serra2018((case.d, *case.widths)):.3g}",
        *(texts[name] for name in peers),
    ]


def installed(name: str) -> Any:
    """A peer's module, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    table = Table(title="Linear regions on [−1, 1]^d and in space: one core, float64")
    peers = {name: installed(name) for name in PEERS}
    for heading in (
        "network",
        "cells",
        "cells s",
        "with maps, polygons s",
        "MB",
        "Serra's bound",
        *(f"{p} s (n)" for p in peers),
    ):
        table.add_column(heading)
    for number in range(len(CASES)):
        table.add_row(*_row(number, peers))
    table.caption = (
        "polygons: corners in order, for d = 2; MB: peak beyond what was resident before; (n): cells that the peer finds"
    )
    show(table, "regions")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
