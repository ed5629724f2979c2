"""What commands print and write: tables on standard output, JSON and CSV files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tropica.runtime.files import writable_file, write_json
from tropica.runtime.processes import started_by_torchrun

PIPED_WIDTH = 120


def prints() -> bool:
    """Is this the process that prints and writes what the command found? (Of several, the first.)"""
    return os.environ.get("RANK", "0") == "0" or not started_by_torchrun()


def console() -> Console:
    """Standard output; as wide as the terminal, or wide enough for all tables where it is a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def show_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> None:
    """Print a table; its last ``numbers`` columns are numbers, set to the right."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if i >= len(headings) - numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


def show_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, a line each, values below each other."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(Text(name), Text(str(value)))
    console().print(grid)


def shape_text(shape: Sequence[int]) -> str:
    """A shape as people write it.

    >>> shape_text((1, 28, 28))
    '1 × 28 × 28'
    """
    return " × ".join(map(str, shape))


def checked(*files: Path | None) -> None:
    """Refuse output files that cannot be written, before the work begins."""
    for file in files:
        if file is not None:
            writable_file(file)


def save_json(file: Path | None, command: str, numbers: Mapping[str, Any]) -> None:
    """Write a command's numbers, if a file is asked for, and say so."""
    if file is not None:
        write_json(file, {"tropica": version("tropica"), "command": command, **numbers})
        say_written(file)


def say_written(file: Path) -> None:
    """One line for a file that is there now."""
    console().print(Text(f"wrote {file}"), soft_wrap=True)
