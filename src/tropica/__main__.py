"""``python -m tropica``: the command line."""

from tropica.cli.app import main

if __name__ == "__main__":
    main()
