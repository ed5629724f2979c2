"""Peak memory of extraction and of streaming evaluation, from 5,000 to 50,000 CIFAR-10-sized points.

Each run is a process of its own, within 300 MB (``memory=``). The points are generated batch by batch and never kept; memory
must not grow with their number. Bar: ± 10 %.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import Dataset

import tropica as tp
from tropica.runtime.memory import peak_memory

SIZES = (5_000, 50_000)
ROOM = 300_000_000


class Made(Dataset):
    """Images that are generated on access."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.base = torch.rand(97, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        return self.base[index % 97] * (1 - index / 100_000) + self.base[index % 89] * (index / 100_000)


def model() -> nn.Module:
    """A convolution that keeps the image size, as in CIFAR-10 networks, a strided convolution, two dense layers."""
    torch.manual_seed(0)
    convs = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 16, 3, stride=4), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*convs, nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10)).eval()


def work(task: str, count: int) -> int:
    """The peak memory of a task, in bytes."""
    data = Made(count)
    if task == "extract":
        with tempfile.TemporaryDirectory(prefix="tropica-bench-") as folder:
            tp.extract(model(), data, out=f"{folder}/terms", memory=ROOM, on_failure="warn")
    else:
        f = tp.ExtractedFunction.streaming(model(), data, memory=ROOM)
        f.predict(torch.stack([data[i] for i in range(1_000)]))
    return peak_memory()


def in_a_process(task: str, count: int) -> float:
    """Peak memory in MB, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.flat", task, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1e6


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    table = Table(title=f"Peak memory in MB, all libraries included; memory={ROOM / 1e6:.0f} MB")
    for heading in ("what", *(f"{size:,} points" for size in SIZES), "ratio (bar 0.9 to 1.1)"):
        table.add_column(heading)
    for task in ("extract", "evaluate, streaming"):
        few, many = (in_a_process(task.split(",")[0], size) for size in SIZES)
        table.add_row(task, f"{few:.0f}", f"{many:.0f}", f"{many / few:.3f}")
    show(table, "flat")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(work(sys.argv[1], int(sys.argv[2])))
    else:
        main()
