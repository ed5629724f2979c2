"""Output of the commands: tables on standard output, JSON and CSV files."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tropica.runtime.files import writable_file, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIPED_WIDTH = 120


def torchrun_rank() -> int | None:
    """The rank of this process under torchrun; None for a process that torchrun did not start."""
    if "RANK" not in os.environ:
        return None
    from tropica.runtime.processes import started_by_torchrun

    return int(os.environ["RANK"]) if started_by_torchrun() else None


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for every table in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> None:
    """Print a table; its last ``numbers`` columns are aligned to the right."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if i >= len(headings) - numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, one pair on each line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(Text(name), Text(str(value)))
    console().print(grid)


def print_line(text: str) -> None:
    """Print one line of plain text, however long."""
    console().print(Text(text), soft_wrap=True)


def shape_text(shape: Sequence[int]) -> str:
    """A shape with multiplication signs.

    >>> shape_text((1, 28, 28))
    '1 × 28 × 28'
    """
    return " × ".join(map(str, shape))


def resources(start: float) -> dict[str, float]:
    """The seconds since ``start`` (``time.perf_counter()``), and this process's peak memory in bytes."""
    from tropica.runtime.memory import peak_memory

    return {"seconds": time.perf_counter() - start, "peak_memory": peak_memory()}


def resources_text(used: Mapping[str, float]) -> dict[str, str]:
    """The resources as texts for :func:`print_facts`."""
    from tropica.runtime.memory import size_text

    return {"seconds": f"{used['seconds']:.1f}", "peak memory": size_text(int(used["peak_memory"]))}


def check_writable(*files: Path | None) -> None:
    """Raise an error for output files that cannot be written, before the work begins."""
    for file in files:
        if file is not None:
            writable_file(file)


def save_json(file: Path | None, command: str, numbers: Mapping[str, Any]) -> None:
    """Write the numbers of a command to a JSON file, if one is given, and print the file's name."""
    if file is not None:
        write_json(file, {"tropica": version("tropica"), "command": command, **numbers})
        print_written(file)


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def print_written(path: Path) -> None:
    """Print the name of a file or folder that was written."""
    print_line(f"wrote {path}")
