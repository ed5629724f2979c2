"""Timing in turns: candidates run one after another, round after round, so that a drifting machine slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def in_turns(
    work: Mapping[str, Callable[[], object]], rounds: int = 7, warmup: int = 1, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """The seconds of every round for each candidate."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(warmup + rounds):
        for name, run in work.items():
            start = clock()
            run()
            if turn >= warmup:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], a: str, b: str) -> float:
    """Median over rounds of time(a)/time(b)."""
    return statistics.median(x / y for x, y in zip(seconds[a], seconds[b], strict=True))


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
