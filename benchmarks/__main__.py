"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import calibration, depth, evaluation, extraction, quality, regions, segments, tropical


def main() -> None:
    """Run them, the quick ones first."""
    for part in (evaluation, extraction, regions, segments, tropical, calibration, quality, depth):
        part.main()


if __name__ == "__main__":
    main()
