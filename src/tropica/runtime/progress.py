"""Progress of long calls: a progress bar, a callback of the user, or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

ProgressCallback = Callable[[int, int, str], None]
"""Called with (done, total, message); a total of 0 is not known."""
REDRAWN = 0.2
"""Seconds between two pictures of a notebook's bar."""


LONG = 2.0
"""Seconds after which :func:`waiting` shows that something is going on."""


class Rate(ProgressColumn):
    """The current number of steps per second."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing while it is unknown."""
        return Text("" if task.speed is None else f"{task.speed:,.3g}/s" if task.speed < 100 else f"{task.speed:,.0f}/s")


@contextmanager
def notebook_bars() -> Iterator[ProgressCallback]:
    """Bars in the cell of a notebook, redrawn in place a few times a second, and empty in the end."""
    from IPython.display import display  # pyright: ignore[reportMissingImports]  # a notebook has it

    handle: Any = display({"text/html": ""}, raw=True, display_id=True)
    rows: dict[str, str] = {}
    started: dict[str, float] = {}
    drawn = 0.0

    def report(done: int, total: int, message: str) -> None:
        nonlocal drawn
        now = time.monotonic()
        seconds = now - started.setdefault(message, now)
        rate = f"{done / seconds:,.3g}/s" if seconds > 0 else ""
        counts = f"{done:,}/{f'{total:,}' if total else '?'} {rate}"
        rows[message] = f'{escape(message)} <progress value="{done}" max="{max(total, 1)}"></progress> {counts}'
        if now - drawn >= REDRAWN:
            handle.update({"text/html": "<br>".join(rows.values())}, raw=True)
            drawn = now

    try:
        yield report
    finally:
        handle.update({"text/html": ""}, raw=True)


@contextmanager
def progress_callback(progress: bool | ProgressCallback) -> Iterator[ProgressCallback | None]:
    """The callback for a computation's progress, or None if no progress is reported.

    Args:
        progress: True for a bar on standard error (in a terminal or a notebook), False for nothing, or a callback.

    >>> seen = []
    >>> with progress_callback(lambda done, total, message: seen.append((done, total, message))) as report:
    ...     report(1, 2, "half")
    >>> seen
    [(1, 2, 'half')]
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:
        with notebook_bars() as bars_of_notebook:
            yield bars_of_notebook
        return
    if not console.is_interactive:  # rich would write an empty line to a log or a pipe
        yield None
        return
    times = TimeElapsedColumn(), TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), *times)
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, object] = {}

        def report(done: int, total: int, message: str) -> None:
            if message not in tasks:
                tasks[message] = bars.add_task(message, total=total or None)
            bars.update(tasks[message], completed=done, total=total or None)  # type: ignore[arg-type]

        yield report


@contextmanager
def waiting(message: str) -> Iterator[None]:
    """A bar with the time on standard error, in a terminal, while a step without countable parts takes longer than two seconds.

    >>> with waiting("reading"):
    ...     pass
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_interactive:
        yield
        return
    with Progress(TextColumn(message), BarColumn(), TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(message, total=None, visible=False)
        shown = threading.Timer(LONG, bars.update, (task,), {"visible": True})
        shown.start()
        try:
            yield
        finally:
            shown.cancel()
