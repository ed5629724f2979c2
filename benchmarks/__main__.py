"""All benchmarks in turn: ``python -m benchmarks``."""

from benchmarks import calibration, depth, evaluation, extraction, planes, quality, regions, segments


def main() -> None:
    """Run them, the quick ones first."""
    for part in (evaluation, extraction, regions, segments, planes, calibration, quality, depth):
        part.main()


if __name__ == "__main__":
    main()
