"""How commands end: one clear line on standard error and an exit code, never a traceback.

    0    done
    1    the work was done and its outcome is bad (a certificate fails), or tropica itself is at fault
    2    the command, the model or the data will not do
    130  stopped with Ctrl-C or SIGTERM; what was finished is kept

With TROPICA_DEBUG=1 in the environment the exception itself is shown.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from tropica.errors import CertificateError, ProcessError, TraceMismatch, TropicaError, UnsupportedOperation
from tropica.runtime.interrupts import raise_keyboard_interrupt
from tropica.runtime.processes import started_by_torchrun

FAILED, UNUSABLE, STOPPED = 1, 2, 130
SHORT = 160
_AS_OPTIONS = {
    "dtype=torch.float64": "--dtype float64",
    "method='calibrated'": "--method calibrated",
    "split='train'": "--split train",
}
"""Advice that the library gives in Python, as it is said here."""
_PATHS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class Stopped(Exception):
    """Ctrl-C; the text says what is left and how to go on."""


@contextmanager
def stopping(left: Callable[[], str]) -> Iterator[None]:
    """Work that Ctrl-C may stop; ``left`` then says what is left and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(left()) from None


class Commands(TyperGroup):
    """The group of all commands; whatever goes wrong in one becomes a line and an exit code here."""

    def invoke(self, ctx: Any) -> Any:
        with stopping(lambda: "no file was written"):
            return super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        before, shown = _ended_like_ctrl_c(), warnings.showwarning
        try:
            warnings.showwarning = _noted
            code = super().main(*args, standalone_mode=False, **extra)
        except Exception as error:
            if os.environ.get("TROPICA_DEBUG", "0") not in ("", "0"):
                raise
            report(error)
        finally:
            warnings.showwarning = shown
            if before is not None:
                signal.signal(signal.SIGTERM, before)
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _noted(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    """A warning in one line; where it comes from only for those of other libraries."""
    own = f"{os.sep}tropica{os.sep}" in filename
    typer.echo(f"note: {one_line(str(message))}{'' if own else f' ({filename}:{lineno})'}", err=True)


def _ended_like_ctrl_c() -> Any:
    """Let SIGTERM end the command as Ctrl-C does, where the program has no handler of its own; the handler before, or None."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return None
    return signal.signal(signal.SIGTERM, raise_keyboard_interrupt)


def report(error: Exception) -> NoReturn:
    """Print what went wrong on one line, and leave."""
    code, text = explained(error)
    word = "stopped" if code == STOPPED else "error"
    rank = os.environ.get("RANK", "0") if started_by_torchrun() else "0"
    if not getattr(error, "from_another_process", False):  # the process that met it says it
        typer.echo(f"{word}{f' (process {rank})' if rank != '0' else ''}: {text}", err=True)
    sys.stderr.flush()
    if started_by_torchrun():
        os._exit(code)  # the others may be waiting for this process, and torch's clean-up for them
    sys.exit(code)


def explained(error: Exception) -> tuple[int, str]:
    """The exit code for an exception, and the line.

    >>> explained(CertificateError("a cotangent is negative"))
    (1, 'a cotangent is negative')
    """
    if isinstance(error, Stopped):
        return STOPPED, one_line(str(error))
    if isinstance(error, TropicaError):
        code = FAILED if isinstance(error, (CertificateError, ProcessError, TraceMismatch)) else UNUSABLE
        return code, _operation(error) if isinstance(error, UnsupportedOperation) else _advised(str(error))
    # Of typer's own errors all can say what is wrong, and none has a public base class in every version.
    said = getattr(error, "format_message", None)
    if said is not None:
        return UNUSABLE, f"{one_line(said())} (--help shows what is accepted)"
    if isinstance(error, _PATHS):
        return UNUSABLE, f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return FAILED, "there is not enough memory; --limit N takes fewer points"
    return FAILED, f"unexpected {type(error).__name__}: {one_line(str(error))} (TROPICA_DEBUG=1 shows where)"


def one_line(text: str) -> str:
    """Lines joined, spaces made single.

    >>> one_line("no such op\\n  source: net.py:3")
    'no such op; source: net.py:3'
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "; ".join(line for line in lines if line)


def _operation(error: UnsupportedOperation) -> str:
    where = f" in module {error.path!r}" if error.path else ""
    source = f" ({one_line(error.source)})" if error.source else ""
    reason = f": {one_line(error.reason)}" if error.reason else ""
    accepted = one_line(", ".join(error.accepted))
    advice = f"; accepted: {accepted}" if 0 < len(accepted) <= SHORT else ""  # a sentence, not the list of all operations
    return f"tropica cannot use the operation {error.op!r}{where}{source}{reason}{advice}"


def _advised(text: str) -> str:
    for python, option in _AS_OPTIONS.items():
        text = text.replace(python, option)
    return one_line(text)
