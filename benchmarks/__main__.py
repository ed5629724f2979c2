"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import (
    calibration,
    depth,
    evaluation,
    extraction,
    planes,
    quality,
    regions,
    segments,
    tropical,
    tropical_networks,
)

PARTS = (evaluation, extraction, regions, segments, planes, tropical, tropical_networks, calibration, quality, depth)


def main() -> None:
    """Run them, the quick ones first."""
    for part in PARTS:
        part.main()


if __name__ == "__main__":
    main()
