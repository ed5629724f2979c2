"""Two processes on two cores against one process, one thread each: extraction and evaluation, started by torchrun.

Floor: twice the rate. Each call is timed inside the process, with a given decomposition; results are compared byte by byte. The
second ratio is the processor time of the single process over that of the busier of the two, which other load on the machine
does not change. Bar: 1.7 ×.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

import tropica as tp
from benchmarks.networks import trained
from tropica.runtime.processes import Processes

POINTS, FRESH, ROUNDS = 16_384, 10_000, 3


def work(folder: Path) -> None:
    """Do the work of one process; the first process prints seconds and a digest of the results."""
    torch.set_num_threads(1)
    processes = Processes.join()
    case = trained("conv", 2)
    x, fresh = case.train.inputs[:POINTS], case.test.inputs[:FRESH]
    net = tp.trace(case.model, x[:2])
    decomposition = tp.decompose(net, method="paper")
    processes.wait()
    start = clock()
    terms = tp.extract(net, x, decomposition, out=folder / "terms", distributed=True)
    extracted = clock()
    f = tp.ExtractedFunction(tp.load_terms(folder / "terms", check="none"), distributed=True)
    f.predict(fresh[:1])  # every process has the store in its cache
    processes.wait()
    again = clock()
    labels, active = f.labels_and_terms(fresh)
    evaluated = clock()
    parts = {"extraction": (start, extracted), "evaluation": (again, evaluated)}
    taken = processes.all_gather({what: [b - a for a, b in zip(*ends, strict=True)] for what, ends in parts.items()})
    if processes.is_first:
        digest = hashlib.sha256(labels.numpy().tobytes() + active.numpy().tobytes())
        for path in sorted((folder / "terms").iterdir()):
            digest.update(path.read_bytes())
        longest = {what: [max(one[what][i] for one in taken) for i in (0, 1)] for what in parts}
        print(json.dumps({**longest, "digest": digest.hexdigest(), "terms": len(terms)}))


def clock() -> tuple[float, float]:
    """Wall-clock seconds, and processor seconds of this process."""
    return time.perf_counter(), time.process_time()


def launched(size: int) -> dict[str, Any]:
    """The seconds and results of ``size`` processes."""
    with tempfile.TemporaryDirectory(prefix="tropica-bench-") as folder:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
        command += ["-m", "benchmarks.processes", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    runs = [(launched(1), launched(2)) for _ in range(ROUNDS)]
    same = len({run["digest"] for pair in runs for run in pair}) == 1
    table = Table(title=f"Two processes against one, one thread each, MNIST Conv, {POINTS:,} points; same bytes: {same}")
    for heading in ("what", "one, s", "two, s", "ratio by the clock (bar 1.7)", "ratio of processor time"):
        table.add_column(heading)
    for what in ("extraction", "evaluation"):
        ratios = [statistics.median(one[what][i] / two[what][i] for one, two in runs) for i in (0, 1)]
        seconds = [statistics.median(pair[i][what][0] for pair in runs) for i in (0, 1)]
        table.add_row(what, *(f"{s:.1f}" for s in seconds), *(f"{ratio:.2f}" for ratio in ratios))
    show(table, "processes")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        work(Path(sys.argv[1]))
    else:
        main()
