"""Discrete Fourier transforms as matrices. A complex activation is a pair of real ones (:class:`Complex`).

The matrices are transforms of unit vectors, so that they have the sizes and the normalisation that PyTorch gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tropica.network.builder import TWO_ACTIVATIONS, Builder, Operand, Refused, Value
from tropica.network.ops.arithmetic import add as add_real
from tropica.network.ops.arithmetic import sub as sub_real
from tropica.network.ops.layout import stack
from tropica.network.ops.registry import RULES, aten, op


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex activation: its real and its imaginary part."""

    real: Value
    imag: Value


COMPLEX_RULES: dict[str, Callable[..., Any]] = {}
"""Rules of ops on complex activations."""
_EACH_PART = frozenset(
    (
        *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "movedim", "unsqueeze", "squeeze", "select"),
        *("slice", "narrow", "index_select", "index", "flip", "roll", "expand", "clone", "contiguous", "neg", "sum", "mean"),
        *("constant_pad_nd", "pad", "alias", "detach", "split", "chunk", "unbind"),
    )
)
"""Ops that treat the real and the imaginary part alike."""


def _complex(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        COMPLEX_RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def complex_rule(name: str, args: Sequence[Any]) -> Callable[..., Any]:
    """The rule of an op of which an argument is complex."""
    if name in COMPLEX_RULES:
        return COMPLEX_RULES[name]
    if name.split(".")[0] in _EACH_PART and name in RULES and isinstance(args[0], Complex):

        def on_each(b: Builder, x: Complex, *settings: Any, **named: Any) -> Any:
            real, imag = (RULES[name](b, part, *settings, **named) for part in (x.real, x.imag))
            return list(map(Complex, real, imag)) if isinstance(real, list) else Complex(real, imag)

        return on_each
    raise Refused("it is not known for complex numbers; Fourier transforms, real, imag, sums and products with constants are")


def _matrix(b: Builder, x: Value, weight: Tensor, dim: int) -> Value:
    """A matrix applied along one dimension."""
    return b.affine(lambda x, weight: torch.movedim(torch.movedim(x, dim, -1) @ weight, -1, dim), x, weight=weight)


def _transform(b: Builder, x: Value | Complex, packet: str, n: int | None, dim: int, norm: str | None) -> Value | Complex:
    """A transform of one dimension: its matrices are the transforms of the unit vectors, and of i times them."""
    function, given = aten(f"{packet}.default"), x.real if isinstance(x, Complex) else x
    dim = dim % given.ndim
    unit = torch.eye(given.shape[dim], dtype=torch.float64)
    if packet == "fft_rfft":
        return Complex(*(_matrix(b, given, part, dim) for part in _parts(function(unit, n, -1, norm))))
    if packet == "fft_irfft":
        real = _matrix(b, given, function(unit + 0j, n, -1, norm), dim)
        return b.add(real, _matrix(b, x.imag, function(1j * unit, n, -1, norm), dim)) if isinstance(x, Complex) else real
    matrix = _parts(function(unit, n, -1, norm))
    real, imag = (_matrix(b, given, part, dim) for part in matrix)
    if isinstance(x, Complex):  # times i: the real part becomes imaginary
        more_imag, more_real = (_matrix(b, x.imag, part, dim) for part in matrix)
        real, imag = b.sub(real, more_real), b.add(imag, more_imag)
    return Complex(real, imag)


def _parts(matrix: Tensor) -> tuple[Tensor, Tensor]:
    return matrix.real.contiguous(), matrix.imag.contiguous()


def _one_dimension(packet: str) -> None:
    @_complex(f"{packet}.default")
    @op(f"{packet}.default")
    def rule(b: Builder, x: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
        return _transform(b, x, packet, n, dim, norm)


def _two_dimensions(packet: str, last: str, other: str) -> None:
    @_complex(f"{packet}2.default", f"{packet}n.default")
    @op(f"{packet}2.default", f"{packet}n.default")
    def rule(
        b: Builder, x: Any, size: Sequence[int] | None = None, dim: Sequence[int] | None = None, norm: str | None = None
    ) -> Any:
        ndim = (x.real if isinstance(x, Complex) else x).ndim
        if dim is None and size is None and b.origin.op.endswith("n.default"):
            raise Refused("it transforms all dimensions, the batch included; name the dimensions with dim=")
        dims = list(dim) if dim is not None else list(range(ndim - len(size or (0, 0)), ndim))
        steps = [(d, n, other) for d, n in zip(dims, size or [None] * len(dims), strict=True)]
        steps[-1] = (*steps[-1][:2], last)
        for d, n, one in reversed(steps) if last == "fft_rfft" else steps:  # the real side is at the last dimension
            x = _transform(b, x, one, n, d, norm)
        return x


for _name in ("fft_fft", "fft_ifft", "fft_rfft", "fft_irfft"):
    _one_dimension(_name)
for _names in (
    ("fft_fft", "fft_fft", "fft_fft"),
    ("fft_ifft", "fft_ifft", "fft_ifft"),
    ("fft_rfft", "fft_rfft", "fft_fft"),
    ("fft_irfft", "fft_irfft", "fft_ifft"),
):
    _two_dimensions(*_names)


@op("complex.default")
def complex_of(b: Builder, real: Value, imag: Value) -> Complex:
    """real + i·imag."""
    if not isinstance(real, Value) or not isinstance(imag, Value):
        raise Refused("one of its parts is a constant; add it as a complex constant")
    return Complex(real, imag)


@op("view_as_complex.default")
def view_as_complex(b: Builder, x: Value) -> Complex:
    """The last dimension, of size 2, as the real and the imaginary part."""
    return Complex(*(b.affine(lambda x, i=i: x.select(-1, i), x) for i in (0, 1)))


@_complex("view_as_real.default")
def view_as_real(b: Builder, x: Complex) -> Value:
    """The real and the imaginary part as a last dimension of size 2."""
    return stack(b, [x.real, x.imag], -1)


@_complex("real.default")
def real_part(b: Builder, x: Complex) -> Value:
    """The real part."""
    return x.real


@_complex("imag.default")
def imaginary_part(b: Builder, x: Complex) -> Value:
    """The imaginary part."""
    return x.imag


@_complex("conj.default", "_conj.default", "conj_physical.default", "resolve_conj.default")
def conjugate(b: Builder, x: Complex) -> Complex:
    """The complex conjugate."""
    return x if "resolve" in b.origin.op else Complex(x.real, b.neg(x.imag))


@_complex("mul.Tensor", "mul.Scalar")
def multiply(b: Builder, x: Operand | Complex, y: Operand | Complex) -> Complex:
    """The product with a complex constant: (a + bi)(u + vi) = (au − bv) + (av + bu)i."""
    z, factor = (x, y) if isinstance(x, Complex) else (y, x)
    if not isinstance(z, Complex) or isinstance(factor, Value | Complex):
        raise Refused(TWO_ACTIVATIONS)
    u, v = _parts_of_constant(factor)
    a, c = z.real, z.imag
    return Complex(b.sub(b.scale(a, u), b.scale(c, v)), b.add(b.scale(a, v), b.scale(c, u)))


@_complex("div.Tensor", "div.Scalar")
def divide(b: Builder, x: Complex, y: Operand | Complex) -> Complex:
    """The quotient by a constant."""
    if isinstance(y, Value | Complex) or not isinstance(x, Complex):
        raise Refused("it divides by an activation, which is not piecewise linear; the divisor must be a constant")
    return multiply(b, x, 1 / torch.as_tensor(y).to(torch.complex128))


@_complex("add.Tensor", "sub.Tensor", "add.Scalar", "sub.Scalar")
def add(b: Builder, x: Any, y: Any, *, alpha: float = 1) -> Complex:
    """The sum or difference of the parts; a real operand has the imaginary part 0."""
    rule = sub_real if ".sub." in b.origin.op else add_real
    (a, c), (u, v) = ((p.real, p.imag) if isinstance(p, Complex) else _parts_of_operand(p) for p in (x, y))
    return Complex(rule(b, a, u, alpha=alpha), rule(b, c, v, alpha=alpha))


def _parts_of_operand(x: Operand) -> tuple[Any, Any]:
    return (x, 0.0) if isinstance(x, Value) else _parts_of_constant(x)


def _parts_of_constant(x: Any) -> tuple[Tensor, Tensor]:
    return _parts(torch.as_tensor(x).to(torch.complex128))
