"""Ctrl-C and SIGTERM, delayed until a step of a computation is finished."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from tropica.errors import TropicaError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DelayedInterrupts:
    """A context in which Ctrl-C (SIGINT) and SIGTERM raise KeyboardInterrupt only between two steps.

    A second signal raises KeyboardInterrupt at once. A signal for which the user has installed a handler keeps that handler.
    Outside the main thread, where Python delivers no signals, the context has no effect.

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
        self.requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> DelayedInterrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler in (signal.default_int_handler, signal.SIG_DFL) or getattr(handler, "delayable", False):
                    self._handlers[number] = handler
                    signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        # If other processes stop too, collective operations fail. The interrupt is the cause, so it is raised.
        if self.requested and not isinstance(error, (TropicaError, KeyboardInterrupt)):
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived. Call this method after each step."""
        if self.requested:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def raise_keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    """A handler for SIGTERM that ends a program as Ctrl-C does. DelayedInterrupts may replace it for a while."""
    raise KeyboardInterrupt


raise_keyboard_interrupt.delayable = True  # type: ignore[attr-defined]


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """A context in which SIGTERM raises KeyboardInterrupt, so that files and locks are cleaned up.

    A handler of the user stays. Outside the main thread the context has no effect.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not ours:
        yield
        return
    signal.signal(signal.SIGTERM, raise_keyboard_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def stop_at_once() -> Iterator[None]:
    """A context in which Ctrl-C ends the program with one line, until :func:`interrupt_from_here` is called.

    It is for the import of modules: nothing is lost then, and none of them turns the interrupt into an error of its own. A
    handler of the user stays. Outside the main thread the context has no effect.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt_from_here() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, in the context of :func:`stop_at_once`."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stopped: no file was written\n")
    os._exit(130)
