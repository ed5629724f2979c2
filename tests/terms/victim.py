"""A run to be killed, for test_store_faults.py: ``python -m tests.terms.victim TASK FOLDER``.

It prints "ready" after the imports, so that the kill hits the work itself.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch

import tropica as tp
from tests.terms.worker import SMALL, network, points
from tropica.runtime.processes import Processes

POINTS = 1200


def settings() -> None:
    """Use one thread."""
    torch.set_num_threads(1)


def extracted(folder: Path, distributed: bool = False, slow: float = 0.0) -> tp.LinearTerms:
    """Calibrate in several passes (little memory for the first step), and extract many small shards.

    A pause after each report stretches the work, so that a kill can hit any part of it.
    """
    return tp.extract(
        network(),
        points(POINTS),
        out=folder,
        batch_size=8,
        shard_sizes=SMALL,
        memory=1_000_000,
        distributed=distributed,
        progress=lambda *_: time.sleep(slow) if slow else None,
    )


def main(task: str, folder: Path) -> None:
    settings()
    distributed = task.endswith("distributed")
    if distributed:
        if os.environ.get("RANK") == "0" and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
            time.sleep(2)  # process 1 comes first and must not find the address of the process 0 that has ended
        Processes.join()
    print("ready", flush=True)
    if task.startswith("extract"):
        extracted(folder, distributed, slow=0.005)
    else:
        f = tp.ExtractedFunction(tp.load_terms(folder), distributed=distributed)
        for seed in range(20):
            f.predict(points(400, seed))
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
