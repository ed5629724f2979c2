"""Two processes on two cores against one process, one thread each: extraction and evaluation, started by torchrun.

Floor: twice the rate. Timed inside, from the call to its end, the split known; results are compared to the byte. Bar: 1.7 ×.
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

import torch
from rich.table import Table

import tropica as tp
from benchmarks.networks import trained
from tropica.processes import Processes

POINTS, FRESH, ROUNDS = 16_384, 10_000, 3


def work(folder: Path) -> None:
    """One process's part; the first one prints seconds and a digest of the results."""
    torch.set_num_threads(1)
    processes = Processes.join()
    case = trained("conv", 2)
    x, fresh = case.train.inputs[:POINTS], case.test.inputs[:FRESH]
    net = tp.trace(case.model, x[:2])
    split = tp.split(net, method="paper")
    processes.wait()
    start = time.perf_counter()
    terms = tp.extract(net, x, split, out=folder / "terms", distributed=True)
    extracted = time.perf_counter()
    f = tp.ExtractedFunction(tp.load_terms(folder / "terms", verify=False), distributed=True)
    f.predict(fresh[:1])  # both have the store in their caches
    processes.wait()
    again = time.perf_counter()
    labels, winners = f.decide(fresh)
    evaluated = time.perf_counter()
    if processes.first:
        digest = hashlib.sha256(labels.numpy().tobytes() + winners.numpy().tobytes())
        for path in sorted((folder / "terms").iterdir()):
            digest.update(path.read_bytes())
        seconds = {"extraction": extracted - start, "evaluation": evaluated - again}
        print(json.dumps({**seconds, "digest": digest.hexdigest(), "terms": len(terms)}))


def launched(size: int) -> dict[str, float | str]:
    """What so many processes take and find."""
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
    for heading in ("what", "one, s", "two, s", "ratio (bar 1.7)"):
        table.add_column(heading)
    for what in ("extraction", "evaluation"):
        one, two = ([float(pair[i][what]) for pair in runs] for i in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(one, two, strict=True))
        table.add_row(what, f"{statistics.median(one):.1f}", f"{statistics.median(two):.1f}", f"{ratio:.2f}")
    show(table, "processes")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        work(Path(sys.argv[1]))
    else:
        main()
