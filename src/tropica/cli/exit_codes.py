"""The end of a command: an exit code, and one line on standard error in place of a traceback.

    0    the command succeeded
    1    the command ran and its result is bad (a certificate fails, a property is violated), or tropica itself is at fault
    2    the command line, the model or the data cannot be used
    3    a limit was reached before a property was decided
    130  the command was stopped by Ctrl-C or SIGTERM; finished parts are kept

With TROPICA_DEBUG=1 in the environment the exception itself is raised.
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

from tropica.cli.output import torchrun_rank
from tropica.errors import CertificateError, ProcessError, TraceMismatch, TropicaError, UnsupportedOperation
from tropica.runtime.interrupts import raise_keyboard_interrupt

FAILED, UNUSABLE, UNDECIDED, INTERRUPTED = 1, 2, 3, 130
LONGEST_ADVICE = 160
"""Characters; a longer list of accepted operations is left out."""
OPTIONS_OF_ARGUMENTS = {
    "dtype=torch.float64": "--dtype float64",
    "decomposition='calibrated'": "--decomposition calibrated",
    "method='calibrated'": "--method calibrated",
    "split='train'": "--subset train",
    'norm="l1", "l2" or "linf"': "--norm l1, l2 or linf",
    "max_seconds must": "--max-seconds must",
}
"""Arguments in error messages of the library, and the options that stand for them."""
PATH_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class Interrupted(Exception):
    """Ctrl-C in a command; the text says what was kept and how to resume."""


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C in this block into `Interrupted`; ``kept()`` then says what was kept and how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept()) from None


class CommandGroup(TyperGroup):
    """The group of all commands, which turns exceptions into an error line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        with interruptible(lambda: "no file was written"):
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first sentence of every command that is not hidden, whole."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(limit=1000)) for name, one in self.commands.items() if not one.hidden]
            )

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        sigterm, showwarning = _handle_sigterm(), warnings.showwarning
        try:
            warnings.showwarning = _show_warning
            code = super().main(*args, standalone_mode=False, **extra)
        except Exception as error:
            if os.environ.get("TROPICA_DEBUG", "0") not in ("", "0"):
                raise
            exit_with(error)
        finally:
            warnings.showwarning = showwarning
            if sigterm is not None:
                signal.signal(signal.SIGTERM, sigterm)
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def exit_with(error: Exception) -> NoReturn:
    """Print the error on one line of standard error, and exit."""
    code, message = code_and_message(error)
    word = "stopped" if code == INTERRUPTED else "error"
    rank = torchrun_rank()
    if not getattr(error, "from_another_process", False):  # the process that raised the error prints it
        typer.echo(f"{word}{f' (process {rank})' if rank else ''}: {message}", err=True)
    sys.stderr.flush()
    if rank is not None:
        os._exit(code)  # a normal exit would wait for the other processes, which may wait for this one
    sys.exit(code)


def code_and_message(error: Exception) -> tuple[int, str]:
    """The exit code and the message for an exception.

    >>> code_and_message(CertificateError("a cotangent is negative"))
    (1, 'a cotangent is negative')
    """
    if isinstance(error, Interrupted):
        return INTERRUPTED, on_one_line(str(error))
    if _began_with_an_interrupt(error):  # a module that was being imported made an error of its own of it
        return INTERRUPTED, "no file was written"
    if isinstance(error, TropicaError):
        code = FAILED if isinstance(error, (CertificateError, ProcessError, TraceMismatch)) else UNUSABLE
        return code, _describe_operation(error) if isinstance(error, UnsupportedOperation) else _with_options(str(error))
    # Typer's own errors have no public base class in all versions, but they all have this method.
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        message = on_one_line(format_message()).replace("Value error, ", "")  # a prefix of some versions
        return UNUSABLE, f"{message} (--help shows what is accepted)"
    if isinstance(error, PATH_ERRORS):
        return UNUSABLE, f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return FAILED, "there is not enough memory; --limit N takes fewer points"
    return FAILED, f"unexpected {type(error).__name__}: {on_one_line(str(error))} (TROPICA_DEBUG=1 shows where)"


def on_one_line(text: str) -> str:
    """The lines of a text, joined by semicolons.

    >>> on_one_line("no such op\\n  source: net.py:3")
    'no such op; source: net.py:3'
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "; ".join(line for line in lines if line)


def _began_with_an_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C raised an exception, or one that led to it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _handle_sigterm() -> Any:
    """Make SIGTERM act like Ctrl-C unless the program handles it already; the previous handler, or None."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return None
    return signal.signal(signal.SIGTERM, raise_keyboard_interrupt)


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    """Print a warning on one line, with its source if it comes from another library."""
    own = f"{os.sep}tropica{os.sep}" in filename
    typer.echo(f"note: {on_one_line(str(message))}{'' if own else f' ({filename}:{lineno})'}", err=True)


def _describe_operation(error: UnsupportedOperation) -> str:
    where = f" in module {error.path!r}" if error.path else ""
    source = f" ({on_one_line(error.source)})" if error.source else ""
    reason = f": {on_one_line(error.reason)}" if error.reason else ""
    accepted = on_one_line(", ".join(error.accepted))
    advice = f"; accepted: {accepted}" if 0 < len(accepted) <= LONGEST_ADVICE else ""
    return f"tropica cannot use the operation {error.op!r}{where}{source}{reason}{advice}"


def _with_options(text: str) -> str:
    """An error message of the library, with the command line's options in place of Python's arguments."""
    for argument, option in OPTIONS_OF_ARGUMENTS.items():
        text = text.replace(argument, option)
    return on_one_line(text)
