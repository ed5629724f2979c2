"""The errors that tropica raises on purpose, all subclasses of `TropicaError`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import partial


class TropicaError(Exception):
    """The base class of all errors of tropica.

    `from_another_process`: the error was raised in another process of a distributed run, which reports it."""

    from_another_process = False


class InputError(TropicaError, ValueError):
    """An argument has the wrong shape, dtype, range or name."""


class DataError(InputError):
    """A data file or a data specification cannot be read."""


class UnsupportedOperation(TropicaError, NotImplementedError):
    """An operation of the network is not piecewise linear, or tropica does not support it.

    Fields: the ATen `op`, the module `path`, the `source` line, the `reason`, and what is `accepted` instead: a sentence or
    the names of operations."""

    def __init__(
        self, *, op: str, path: str = "", source: str = "", reason: str = "", accepted: str | Iterable[str] = ()
    ) -> None:
        self.op, self.path, self.source, self.reason = op, path, source, reason
        self.accepted = (accepted,) if isinstance(accepted, str) else tuple(accepted)
        where = f" in module {path!r}" if path else ""
        facts = {"source": source, "reason": reason, "accepted": ", ".join(self.accepted)}
        lines = [_field_text(name, text) for name, text in facts.items() if text]
        super().__init__("\n".join([f"tropica cannot use the operation {op!r}{where}.", *lines]))

    def __reduce__(self):
        # Pickling rebuilds an exception from `args`, which cannot fill keyword-only arguments.
        fields = {name: getattr(self, name) for name in ("op", "path", "source", "reason", "accepted")}
        return partial(type(self), **fields), ()


class TrainingModeError(TropicaError, RuntimeError):
    """The model or a submodule is in training mode: call `model.eval()` first."""


class TraceMismatch(TropicaError, RuntimeError):
    """The traced network does not give the outputs of the model."""


class TraceError(TropicaError, RuntimeError):
    """The model could not be exported: data-dependent control flow, or a fixed batch size."""


class NonFiniteWeights(TropicaError, ValueError):
    """A weight or buffer of the network is NaN or infinite."""


class CertificateError(TropicaError, ArithmeticError):
    """A certificate does not hold: a term is not the largest one at its own point."""


class StoreError(TropicaError, OSError):
    """A file or a store is incomplete, damaged, or made for another network."""


class ProcessError(TropicaError, RuntimeError):
    """Another process of a distributed run ended before its part of the work was done."""


def _field_text(name: str, text: str) -> str:
    """`name: text` with a hanging indent. A source line is not wrapped, so that editors find it."""
    width = 10_000 if name == "source" else 100
    return textwrap.fill(text, width, initial_indent=f"  {name + ':':<10}", subsequent_indent=" " * 12)
