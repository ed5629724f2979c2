"""What starting costs: ``python -m benchmarks.startup``; with ``help``, what the help of every command costs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

from rich.table import Table

from benchmarks.report import show
from tropica.cli.app import COMMANDS

ROUNDS = 3

STARTS = {
    "python -c pass": ("-c", "pass"),
    "import torch": ("-c", "import torch"),
    "import tropica": ("-c", "import tropica"),
    "every public name": ("-c", "import tropica as tp; [getattr(tp, name) for name in tp.__all__]"),
    "tropica --version": ("-m", "tropica", "--version"),
    "tropica --help": ("-m", "tropica", "--help"),
}
NAMES = tuple(one.__name__.replace("_", "-") for one in COMMANDS)
HELP = {f"tropica {name} --help": ("-m", "tropica", name, "--help") for name in NAMES}


def seconds(arguments: tuple[str, ...]) -> float:
    """Processor seconds of one fresh interpreter, with compiled files at hand."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the processor seconds of imports and of the help of every command; with ``help`` the help alone."""
    table = Table("start", "processor seconds", title=f"Starting: fresh interpreters, medians of {ROUNDS} rounds")
    for name, arguments in (HELP if sys.argv[1:] == ["help"] else STARTS | HELP).items():
        seconds(arguments)
        table.add_row(name, f"{statistics.median(seconds(arguments) for _ in range(ROUNDS)):.2f}")
    show(table, "startup")


if __name__ == "__main__":
    main()
