"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import calibration, depth, evaluation, extraction, quality, regions, segments, tropical, tropical_networks


def main() -> None:
    """Run them, the quick ones first."""
    for part in (evaluation, extraction, regions, segments, tropical, tropical_networks, calibration, quality, depth):
        part.main()


if __name__ == "__main__":
    main()
