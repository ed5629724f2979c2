"""The errors that tropica raises on purpose, all subclasses of `TropicaError`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import partial


class TropicaError(Exception):
    """The base class of all errors of tropica.

    `from_another_process`: the error was raised in another process of a distributed run, which reports it.

    >>> import tropica as tp
    >>> try:
    ...     tp.Box(1, -1, d=2)
    ... except tp.TropicaError as error:
    ...     print(type(error).__name__, isinstance(error, ValueError))
    InputError True
    """

    from_another_process = False


class InputError(TropicaError, ValueError):
    """An argument has the wrong shape, dtype, range or name.

    >>> import tropica as tp
    >>> tp.Box(1, -1, d=2)
    Traceback (most recent call last):
        ...
    tropica.errors.InputError: lo must be at most hi; at coordinate 0 they are 1.0 and -1.0
    """


class DataError(InputError):
    """A data file or a data specification cannot be read.

    >>> import tropica as tp
    >>> tp.load_data("no-such-file.npz")
    Traceback (most recent call last):
        ...
    tropica.errors.DataError: no data at no-such-file.npz (set TROPICA_DATA to a folder for it to ...
    """


class UnsupportedOperation(TropicaError, NotImplementedError):
    """An operation of the network is not piecewise linear, or tropica does not support it.

    Fields: the ATen `op`, the module `path`, the `source` line, the `reason`, and what is `accepted` instead: a sentence or
    the names of operations.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU(), torch.nn.Linear(2, 2)).eval()
    >>> try:
    ...     tp.trace(model, torch.zeros(2, 2))
    ... except tp.UnsupportedOperation as error:
    ...     print(error.op, error.path)
    aten.gelu.default 1
    """

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
    """The model or a submodule is in training mode: call `model.eval()` first.

    >>> import torch, tropica as tp
    >>> tp.trace(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()), torch.zeros(2, 2))
    Traceback (most recent call last):
        ...
    tropica.errors.TrainingModeError: module (the model itself) and 2 more is in training mode; ...
    """


class TraceMismatch(TropicaError, RuntimeError):
    """The traced network does not give the outputs of the model.

    >>> import torch, tropica as tp
    >>> class Two(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.relu() if torch.compiler.is_exporting() else x
    >>> tp.trace(Two().eval(), torch.tensor([[-1.0], [1.0]]))
    Traceback (most recent call last):
        ...
    tropica.errors.TraceMismatch: the traced network does not compute what the model computes: the ...
    """


class TraceError(TropicaError, RuntimeError):
    """The model could not be exported: data-dependent control flow, or a fixed batch size.

    >>> import torch, tropica as tp
    >>> class Branching(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x if x.sum() > 0 else -x
    >>> tp.trace(Branching().eval(), torch.zeros(2, 3))
    Traceback (most recent call last):
        ...
    tropica.errors.TraceError: the model's code branches on the values of its activations, or ...
    """


class NonFiniteWeights(TropicaError, ValueError):
    """A weight or buffer of the network is NaN or infinite.

    >>> import torch, tropica as tp
    >>> layer = torch.nn.Linear(1, 1)
    >>> _ = layer.weight.data.fill_(float("nan"))
    >>> tp.trace(layer.eval(), torch.zeros(2, 1))
    Traceback (most recent call last):
        ...
    tropica.errors.NonFiniteWeights: weight has 1 values that are NaN or infinite; finite weights are needed
    """


class CertificateError(TropicaError, ArithmeticError):
    """A certificate does not hold: a term is not the largest one at its own point.

    >>> import tropica as tp
    >>> issubclass(tp.CertificateError, tp.TropicaError), issubclass(tp.CertificateError, ArithmeticError)
    (True, True)
    """


class StoreError(TropicaError, OSError):
    """A file or a store is incomplete, damaged, or made for another network.

    >>> import tempfile, tropica as tp
    >>> tp.load_terms(tempfile.mkdtemp())
    Traceback (most recent call last):
        ...
    tropica.errors.StoreError: ...: not a store of terms (there is no manifest.json)
    """


class ProcessError(TropicaError, RuntimeError):
    """Another process of a distributed run ended before its part of the work was done.

    >>> import tropica as tp
    >>> issubclass(tp.ProcessError, tp.TropicaError), issubclass(tp.ProcessError, RuntimeError)
    (True, True)
    """


def _field_text(name: str, text: str) -> str:
    """`name: text` with a hanging indent. A source line is not wrapped, so that editors find it."""
    width = 10_000 if name == "source" else 100
    return textwrap.fill(text, width, initial_indent=f"  {name + ':':<10}", subsequent_indent=" " * 12)
