"""The errors tropica raises on purpose; everything it refuses is a `TropicaError`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import partial


class TropicaError(Exception):
    """The base of every error tropica raises on purpose: `except TropicaError` catches them all.

    `relayed`: it comes from another process of a distributed run, which has reported it itself."""

    relayed = False


class InputError(TropicaError, ValueError):
    """An argument is not what the function takes: wrong shape, dtype, range or name."""


class DataError(InputError):
    """A data file or a data specification cannot be read."""


class UnsupportedOperation(TropicaError, NotImplementedError):
    """An operation of the network is not piecewise linear, or not known to tropica.

    Fields: the ATen `op`, the module `path`, the `source` line, the `reason`, and what would be `accepted`: a sentence, or
    the names of operations."""

    def __init__(
        self, *, op: str, path: str = "", source: str = "", reason: str = "", accepted: str | Iterable[str] = ()
    ) -> None:
        self.op, self.path, self.source, self.reason = op, path, source, reason
        self.accepted = (accepted,) if isinstance(accepted, str) else tuple(accepted)
        where = f" in module {path!r}" if path else ""
        facts = {"source": source, "reason": reason, "accepted": ", ".join(self.accepted)}
        lines = [_wrapped(name, text) for name, text in facts.items() if text]
        super().__init__("\n".join([f"tropica cannot use the operation {op!r}{where}.", *lines]))

    def __reduce__(self):
        # An exception is rebuilt from `args` alone, which cannot fill keyword-only fields: worker processes need this.
        fields = {name: getattr(self, name) for name in ("op", "path", "source", "reason", "accepted")}
        return partial(type(self), **fields), ()


class TrainingModeError(TropicaError, RuntimeError):
    """The model, or a part of it, is in training mode: call `model.eval()` first."""


class TraceMismatch(TropicaError, RuntimeError):
    """The traced network does not give the model's own outputs."""


class TraceError(TropicaError, RuntimeError):
    """The model could not be exported: data-dependent control flow, or a fixed batch size."""


class NonFiniteWeights(TropicaError, ValueError):
    """A weight or buffer of the network is NaN or infinite."""


class CertificateError(TropicaError, ArithmeticError):
    """A certificate does not hold: the terms found are not maximal at their own points."""


class StoreError(TropicaError, OSError):
    """A store of terms is incomplete, damaged, or of another network."""


class ProcessError(TropicaError, RuntimeError):
    """Another process of a distributed run ended before its part of the work was done."""


def _wrapped(name: str, text: str) -> str:
    """`name: text` with a hanging indent; a source line stays on one line, so that editors find it."""
    width = 10_000 if name == "source" else 100
    return textwrap.fill(text, width, initial_indent=f"  {name + ':':<10}", subsequent_indent=" " * 12)
