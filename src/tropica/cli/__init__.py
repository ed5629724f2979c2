"""The command line: ``tropica demo | trace | split | extract | evaluate | verify | regions``."""

from tropica.cli.app import app, main

__all__ = ["app", "main"]
