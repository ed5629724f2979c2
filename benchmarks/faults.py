"""Outcomes of killed runs, of damaged files and of a full file system.

50 SIGKILLs at random moments over extractions and evaluations of one and two processes, each resumed; 200 random corruptions of
files of a store, each met by loading, verifying and resuming; a full file system (a tmpfs of 300 kB, as the superuser).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.table import Table

import tropica as tp
from tests.terms import victim
from tests.terms.stores import corrupt
from tests.terms.test_store_faults import children, kill, run, wait_for
from tests.terms.worker import SMALL, points

KILLS = {("extract", 1): 25, ("extract", 2): 10, ("evaluate", 1): 10, ("evaluate", 2): 5}
DAMAGES = 200


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def killed(task: str, size: int, count: int, whole: Path, folder: Path, chance: random.Random) -> tuple[int, int]:
    """The number of runs killed before their end, and of resumed runs with the same bytes and labels."""
    same = hits = 0
    x = points(50, 9)
    expected = tp.ExtractedFunction(tp.load_terms(whole)).labels_and_terms(x)
    while hits < count:
        terms = folder / f"{task}-{size}-{hits}"
        if task == "evaluate":
            shutil.copytree(whole, terms)
        name = f"{task} distributed" if size > 1 else task
        process = run(name, terms, size)
        wait_for(process, "ready", size)
        time.sleep(chance.uniform(0.0, 1.0))
        if process.poll() is not None:
            process.communicate()
            shutil.rmtree(terms)
            continue
        for child in children(process) if size > 1 else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        kill(process)
        hits += 1
        resumed = run(name, terms, size)
        resumed.communicate()
        found = tp.ExtractedFunction(tp.load_terms(terms)).labels_and_terms(x)
        equal = all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        same += resumed.returncode == 0 and content(terms) == content(whole) and equal
        shutil.rmtree(terms)
    return hits, same


def damaged(whole: Path, folder: Path) -> tuple[int, int, int, int]:
    """The numbers of corruptions that were found, without effect, and missed; and of those that the next run repaired."""
    expected, files = tp.load_terms(whole), content(whole)
    found = harmless = missed = mended = 0
    for seed in range(DAMAGES):
        chance = random.Random(seed)
        terms = folder / "damaged"
        shutil.copytree(whole, terms)
        corrupt(chance.choice(sorted(terms.iterdir())), chance)
        try:
            terms_found = tp.load_terms(terms, check="all")
        except tp.StoreError:
            found += 1
        else:
            equal = torch.equal(terms_found.plus.weight, expected.plus.weight)
            equal &= torch.equal(terms_found.plus.bias, expected.plus.bias)
            harmless, missed = harmless + equal, missed + (not equal)
        victim.extracted(terms)
        mended += content(terms) == files
        shutil.rmtree(terms)
    return found, harmless, missed, mended


def full(whole: Path, folder: Path) -> str:
    """The outcome on a full file system."""
    mounted = folder / "small"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(mounted)], capture_output=True).returncode:
        return "not tried: mounting is not allowed here"
    try:
        command = [sys.executable, "-m", "tests.terms.victim", "extract", str(mounted / "terms")]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        shards = {name: raw for name, raw in content(mounted / "terms").items() if name.startswith("shard-")}
        intact = sum(raw == (whole / name).read_bytes() for name, raw in shards.items())
        message = "a clear error" if "No space left on device" in done.stderr else f"exit code {done.returncode}"
        return f"{message}; {intact} of {len(shards)} finished shards intact"
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    victim.settings()
    chance = random.Random(int(time.time()))
    table = Table(title=f"Faults: {victim.POINTS:,} points in shards of {SMALL.points}")
    for heading in ("fault", "times", "outcome"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory(prefix="tropica-bench-") as name:
        folder = Path(name)
        whole = folder / "whole"
        victim.extracted(whole)
        for (task, size), count in KILLS.items():
            hits, same = killed(task, size, count, whole, folder, chance)
            table.add_row(f"SIGKILL, {task}, {size} process(es)", str(hits), f"{same} resumed to the same bytes and labels")
        found, harmless, missed, mended = damaged(whole, folder)
        what = f"{found} found, {harmless} without effect, {missed} missed; {mended} repaired to the same bytes"
        table.add_row("a file corrupted at random", str(DAMAGES), what)
        table.add_row("file system full", "1", full(whole, folder))
    show(table, "faults")


if __name__ == "__main__":
    main()
