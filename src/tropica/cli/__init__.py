"""The command line ``tropica``: one module for each command.

Nothing here imports torch before a command runs, so that ``--help`` answers at once.
"""

from tropica.cli.app import app, main

__all__ = ["app", "main"]
