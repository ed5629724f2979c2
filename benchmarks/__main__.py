"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import (
    calibration,
    depth,
    evaluation,
    extraction,
    faults,
    flat,
    processes,
    quality,
    regions,
    segments,
    store,
)


def main() -> None:
    """Run them, the quick ones first."""
    for part in (evaluation, extraction, regions, segments, store, flat, processes, faults, calibration, quality, depth):
        part.main()


if __name__ == "__main__":
    main()
