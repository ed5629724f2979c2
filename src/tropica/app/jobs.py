"""Work in the background, with progress and an end before its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Report = Callable[[int, int, str], None]
"""Called with (done, total, message), as the library's ``progress=`` is."""


class Cancelled(Exception):
    """The user ended a job."""


class Job(Generic[T]):
    """A function that runs in a thread of its own.

    Attributes:
        state: "running", "done", "failed" or "cancelled".
        progress: (done, total, message) as last reported.
        error: what was wrong, of a failed job.
    """

    def __init__(self, work: Callable[[Report], T], message: str) -> None:
        self.state, self.error, self.progress = "running", "", (0, 0, message)
        self._result: T | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    @property
    def result(self) -> T | None:
        """What the function returned; None before that."""
        return self._result

    def cancel(self) -> None:
        """End the job at its next report."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end of the job, or so long."""
        self._thread.join(seconds)

    def to_json(self) -> dict[str, Any]:
        """State, progress and error for the page."""
        done, total, message = self.progress
        return {"state": self.state, "done": done, "total": total, "message": message, "error": self.error}

    def _report(self, done: int, total: int, message: str) -> None:
        self.progress = (int(done), int(total), message)
        if self._stop.is_set():
            raise Cancelled

    def _run(self, work: Callable[[Report], T]) -> None:
        try:
            self._result = work(self._report)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except (Exception, SystemExit) as error:  # said on the page; the server goes on
            self.error = describe(error)
            self.state = "failed"


def describe(error: BaseException) -> str:
    """An error as one line for the page: its text, with its type where the error is not one of the library.

    >>> describe(KeyError("x"))
    "KeyError: 'x'"
    """
    import tropica as tp

    text = " ".join(str(error).split())
    if isinstance(error, tp.TropicaError):
        return text
    if isinstance(error, MemoryError):
        return "there is not enough memory; --limit N takes fewer points"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {text}"
