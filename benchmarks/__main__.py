"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import (
    calibration,
    cells,
    depth,
    digits,
    evaluation,
    extraction,
    faults,
    flat,
    large,
    minimal,
    planes,
    processes,
    quality,
    readers,
    regions,
    search,
    segments,
    startup,
    store,
    tracing,
    tropical,
    tropical_networks,
)

QUICK = (evaluation, extraction, regions, cells, segments, planes, tropical, tropical_networks, store)
SLOW = (startup, large, flat, processes, faults, calibration, quality, minimal, depth, digits, search, readers, tracing)


def main() -> None:
    """Run all benchmarks, the quick ones first."""
    for part in (*QUICK, *SLOW):
        part.main()


if __name__ == "__main__":
    main()
