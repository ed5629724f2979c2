"""The progress of a search, and Ctrl-C, which ends it with what there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tropica.runtime.interrupts import DelayedInterrupts
from tropica.runtime.progress import ProgressCallback, progress_callback


class Watch:
    """How far a search is, for a progress bar, and whether Ctrl-C has asked it to end."""

    def __init__(self, report: ProgressCallback | None, interrupts: DelayedInterrupts) -> None:
        self._report, self._interrupts = report, interrupts
        self._message, self._done = "", 0

    @property
    def ended(self) -> bool:
        """Whether the search shall end with what there is."""
        return self._interrupts.requested

    @property
    def stopped(self) -> str | None:
        """What ended the search before its limits, for its result."""
        return "Ctrl-C" if self.ended else None

    def begin(self, message: str) -> None:
        """Count from 0, under another heading."""
        self._message, self._done = message, 0
        self.add(0)

    def add(self, count: int) -> None:
        """Report ``count`` more steps; how many there will be is not known."""
        self._done += count
        if self._report is not None:
            self._report(self._done, 0, self._message)


@contextmanager
def watched(progress: bool | ProgressCallback) -> Iterator[Watch]:
    """A context with the progress of a search, in which Ctrl-C sets :attr:`Watch.ended`; a second one ends all at once.

    >>> seen = []
    >>> with watched(lambda done, total, message: seen.append((done, message))) as watch:
    ...     watch.begin("boxes")
    ...     watch.add(64)
    >>> seen, watch.ended
    ([(0, 'boxes'), (64, 'boxes')], False)
    """
    with progress_callback(progress) as report, DelayedInterrupts() as interrupts:
        yield Watch(report, interrupts)
        interrupts.requested = False  # the result says that it was stopped
