"""What commands print: tables and facts on standard output."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 120
GAP = 2
"""Spaces between two columns."""


def torchrun_rank() -> int | None:
    """The rank of this process under torchrun; None for a process that torchrun did not start."""
    if "RANK" not in os.environ:
        return None
    from tropica.runtime.processes import started_by_torchrun

    return int(os.environ["RANK"]) if started_by_torchrun() else None


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for every table in a file or a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> None:
    """Print a table; its last ``numbers`` columns are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    print_line(title)
    out = console()
    widths = _widths([[heading, *(str(row[i]) for row in rows)] for i, heading in enumerate(headings)], out.width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False)
    for i, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        justify = "right" if i >= len(headings) - numbers else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold", width=width)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int | None]:
    """The widths of columns that do not break a word; None for each where the table fits, or the words do not.

    >>> _widths([["name", "a long text"], ["1"]], 14)
    [9, 1]
    """
    words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    more = [max(map(len, column)) - word for column, word in zip(columns, words, strict=True)]
    spare = room - sum(words) - GAP * len(words)
    if not 0 <= spare < sum(more):
        return [None] * len(words)
    return [word + spare * one // sum(more) for word, one in zip(words, more, strict=True)]


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, one pair on each line."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(Text(name), Text(str(value)))
    console().print(grid)


def print_line(text: str) -> None:
    """Print one line of plain text, however long."""
    from rich.text import Text

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


def print_written(path: Path) -> None:
    """Print the name of a file or folder that was written."""
    print_line(f"wrote {path}")
