"""``python -m tropica`` and ``tropica``: the command line."""

from tropica.runtime.interrupts import stop_at_once


def main() -> None:
    """Run the command line. Ctrl-C ends it with one line, also while its modules are imported."""
    with stop_at_once():
        from tropica.cli import main as run

        run()


if __name__ == "__main__":
    main()
