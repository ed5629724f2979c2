"""Compile time of the region engine's kernels: the first count on a domain of each dimension, cold and then warm.

Each run is a process of its own, with an empty cache of compiled kernels for the cold one. Processor seconds of the call,
imports not counted; ``kernels`` are the functions that numba compiles, those that take longest with their own seconds.
"Windows" is a small convolutional network with a max-pool on a plane, whose kernels are others.

    python -m benchmarks.compilation [1 2 3 windows …]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from rich.table import Table

from benchmarks.report import show

BAR = 15.0
WARM_BAR = 0.5
_CODE = """
import json, sys, time
import torch
from torch import nn
from numba.core import event
import tropica as tp
import tropica.regions.kernels
torch.set_num_threads(1)
torch.manual_seed(0)
name = sys.argv[1]
if name == "windows":
    model, shape = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)), (1, 6, 6)
    domain = tp.Plane(*torch.randn(3, 36, dtype=torch.float64), 0.1)
else:
    d = int(name)
    model = nn.Sequential(nn.Linear(d, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    shape, domain = (d,), tp.Box(-1, 1, d=d)
net = tp.trace(model.double().eval().requires_grad_(False), torch.zeros(2, *shape, dtype=torch.float64))
with event.install_recorder("numba:compile") as recorder:
    start = time.process_time()
    tp.count_cells(net, domain, threads=1)
    seconds = time.process_time() - start
own, open_ = {}, []
for at, happened in recorder.buffer:
    if happened.is_start:
        open_.append([happened.data["dispatcher"].__name__, at, 0.0])
    else:
        kernel, begun, inner = open_.pop()
        own[kernel] = own.get(kernel, 0.0) + at - begun - inner
        if open_:
            open_[-1][2] += at - begun
print(json.dumps([seconds, sum(e.is_start for _, e in recorder.buffer), own]))
"""


def first_call(name: str, cache: str) -> tuple[float, int, dict[str, float]]:
    """Processor seconds of a first call, how many functions were compiled, and seconds by the clock of each."""
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", _CODE, name], capture_output=True, text=True, check=True, env=environment)
    seconds, compiled, own = json.loads(done.stdout.splitlines()[-1])
    return seconds, compiled, own


def main() -> None:
    """Print the table."""
    table = Table(title=f"First call of a dimension: processor seconds, bars {BAR:g} cold and {WARM_BAR:g} warm")
    for heading in ("domain", "cold s", "kernels", "warm s", "longest (s by the clock)"):
        table.add_column(heading)
    for name in sys.argv[1:] or ("1", "2", "3", "windows"):
        with tempfile.TemporaryDirectory() as cache:
            seconds, compiled, own = first_call(name, cache)
            warm, _, _ = first_call(name, cache)
        longest = sorted(own.items(), key=lambda item: -item[1])[:4]
        table.add_row(
            name if name == "windows" else f"d = {name}",
            f"{seconds:.1f}",
            str(compiled),
            f"{warm:.2f}",
            ", ".join(f"{kernel} {t:.1f}" for kernel, t in longest),
        )
    show(table, "compilation")


if __name__ == "__main__":
    main()
