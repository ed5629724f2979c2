"""Ctrl-C and SIGTERM while something is half done: finish it first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from tropica.errors import TropicaError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DelayedInterrupts:
    """Work in pieces, each of which is finished before Ctrl-C (SIGINT) or SIGTERM ends it with KeyboardInterrupt.

    The second signal ends it at once. Outside the main thread, where Python gives no signals, nothing changes; nor for a
    signal that the program handles in a way of its own, but for SIGINT's KeyboardInterrupt.

    >>> import os
    >>> done = []
    >>> try:
    ...     with DelayedInterrupts() as work:
    ...         os.kill(os.getpid(), signal.SIGINT)
    ...         done.append("this piece")
    ...         work.check()
    ...         done.append("the next one")
    ... except KeyboardInterrupt:
    ...     print(done)
    ['this piece']
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> DelayedInterrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                known = signal.getsignal(number)
                if known in (signal.default_int_handler, signal.SIG_DFL) or getattr(known, "may_wait", False):
                    self._before[number] = known
                    signal.signal(number, self._seen)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, known in self._before.items():
            signal.signal(number, known)
        # Other processes that stop as well make collective operations fail; what was asked for is what is reported.
        if self.wanted and not isinstance(error, (TropicaError, KeyboardInterrupt)):
            raise KeyboardInterrupt

    def check(self) -> None:
        """A piece is finished: raise KeyboardInterrupt if that was asked for meanwhile."""
        if self.wanted:
            raise KeyboardInterrupt

    def _seen(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


def terminated(number: int, frame: FrameType | None) -> None:
    """A handler for SIGTERM that ends a program as Ctrl-C does."""
    raise KeyboardInterrupt


terminated.may_wait = True  # type: ignore[attr-defined]  # DelayedInterrupts may take its place for a while
