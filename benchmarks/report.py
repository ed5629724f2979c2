"""Tables to the terminal and, as JSON, to results/bench."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

FOLDER = Path("results/bench")


def show(table: Table, name: str) -> None:
    """Print a table, and write its cells to a file."""
    Console(width=170).print(table)
    columns = [str(column.header) for column in table.columns]
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*([*c.cells] for c in table.columns), strict=True)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    about = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps({"title": str(table.title), "about": about, "rows": rows}, indent=1))
