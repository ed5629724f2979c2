"""The nonlinearities one by one: convex, with bounded Jacobians, in all their settings."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tropica.network.nonlinearities import (
    Abs,
    AdaptiveMaxPool,
    Amax,
    ClampMin,
    LeakyRelu,
    Maximum,
    MaxPool,
    Nonlinearity,
    PRelu,
    Relu,
)

SLOPES = torch.tensor([0.0, 0.25, 0.7, 1.0], dtype=torch.float64)
LEVELS = torch.tensor([-0.5, 0.0, 0.3, 1.0], dtype=torch.float64)

VECTOR, SEQUENCE, IMAGE, VOLUME = (3, 4), (2, 2, 7), (2, 2, 5, 6), (1, 2, 4, 3, 4)
Setting = tuple[Nonlinearity, list[tuple[int, ...]], dict[str, Tensor]]
SETTINGS: list[Setting] = [
    (Relu(), [VECTOR], {}),
    (LeakyRelu(0.3), [VECTOR], {}),
    (LeakyRelu(0.0), [VECTOR], {}),
    (LeakyRelu(1.0), [VECTOR], {}),
    (PRelu(), [VECTOR], {"slope": SLOPES}),
    (PRelu(), [IMAGE], {"slope": SLOPES[:2]}),
    (PRelu(), [SEQUENCE], {"slope": SLOPES[1:2]}),
    *((ClampMin(tie), [VECTOR], {"level": LEVELS}) for tie in (0, 0.5, 1)),
    (Abs(), [VECTOR], {}),
    (Maximum(), [VECTOR, VECTOR], {}),
    (Maximum(), [(3, 4, 1), (3, 1, 5)], {}),
    (Amax((2,), False), [SEQUENCE], {}),
    (Amax((1,), True, first=True), [SEQUENCE], {}),
    (Amax((1, 3), False), [IMAGE], {}),
    (Amax((2, 3), True), [(2, 2, 2, 3)], {}),
    (MaxPool((3,), (2,), (1,), (2,), ceil_mode=True), [SEQUENCE], {}),
    (MaxPool((2,), (3,), (1,), (1,)), [SEQUENCE], {}),
    (MaxPool((2, 3), (2, 1), (0, 1), (1, 2)), [IMAGE], {}),
    (MaxPool((3, 3), (2, 2), (1, 1), (1, 1), ceil_mode=True), [IMAGE], {}),
    (MaxPool((2, 2), (3, 3), (0, 0), (1, 1)), [IMAGE], {}),
    (MaxPool((2, 2), (3, 4), (1, 1), (1, 1), ceil_mode=True), [IMAGE], {}),
    (MaxPool((2, 3, 2), (2, 1, 3), (1, 0, 1), (1, 1, 2), ceil_mode=True), [VOLUME], {}),
    (AdaptiveMaxPool((3,)), [SEQUENCE], {}),
    (AdaptiveMaxPool((2, 4)), [IMAGE], {}),
    (AdaptiveMaxPool((3, 2, 3)), [VOLUME], {}),
]
by_setting = pytest.mark.parametrize(
    ("nonlinearity", "shapes", "constants"), SETTINGS, ids=[repr(nonlinearity) for nonlinearity, _, _ in SETTINGS]
)


def inputs(shapes: list[tuple[int, ...]], seed: int, ties: bool = False) -> tuple[Tensor, ...]:
    """Random inputs; with ties, small integers and halves of them."""
    generator = torch.Generator().manual_seed(seed)
    if ties:
        return tuple(torch.randint(-2, 3, shape, generator=generator).double() / 2 for shape in shapes)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


def jacobians(fn, z: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.autograd.functional.jacobian(fn, z)  # type: ignore[return-value]


@by_setting
@pytest.mark.parametrize("ties", [False, True])
def test_jacobian_bound(
    nonlinearity: Nonlinearity, shapes: list[tuple[int, ...]], constants: dict[str, Tensor], ties: bool
) -> None:
    """Linear, nonnegative, and no smaller than the absolute value of any Jacobian."""
    z = inputs(shapes, 0, ties)
    bounds = jacobians(nonlinearity.jacobian_bound, z)
    assert nonlinearity.jacobian_bound(*z).shape == nonlinearity(*z, **constants).shape
    assert not nonlinearity.jacobian_bound(*(torch.zeros_like(part) for part in z)).any()
    assert_close(jacobians(nonlinearity.jacobian_bound, inputs(shapes, 5)), bounds)
    for seed in range(3):
        slopes = jacobians(lambda *z: nonlinearity(*z, **constants), inputs(shapes, seed, ties))
        for bound, slope in zip(bounds, slopes, strict=True):
            assert (slope.abs() <= bound + 1e-12).all()
            assert nonlinearity.both_signs or (slope >= 0).all()


@by_setting
def test_jacobian_bound_is_reached(
    nonlinearity: Nonlinearity, shapes: list[tuple[int, ...]], constants: dict[str, Tensor]
) -> None:
    """An entry of the Jacobian bound is positive only where some Jacobian has a nonzero entry."""
    bounds = jacobians(nonlinearity.jacobian_bound, inputs(shapes, 0))
    seen = [torch.zeros_like(bound) for bound in bounds]
    for seed in range(80):
        slopes = jacobians(lambda *z: nonlinearity(*z, **constants), inputs(shapes, seed))
        seen = [torch.maximum(most, slope.abs()) for most, slope in zip(seen, slopes, strict=True)]
    for bound, most in zip(bounds, seen, strict=True):
        assert ((bound > 0) == (most > 0)).double().mean() > 0.99
        assert bound.max() <= 1


@by_setting
@pytest.mark.parametrize("ties", [False, True])
def test_convexity(nonlinearity: Nonlinearity, shapes: list[tuple[int, ...]], constants: dict[str, Tensor], ties: bool) -> None:
    """h(z') ≥ h(z) + h'(z)(z' − z), also from a tie."""
    z = inputs(shapes, 0, ties)
    slopes = jacobians(lambda *z: nonlinearity(*z, **constants), z)
    here = nonlinearity(*z, **constants)
    for seed in range(1, 20):
        other = inputs(shapes, seed, ties=seed % 2 == 0)
        step = sum(
            (slope.flatten(here.ndim) @ (b - a).flatten() for slope, a, b in zip(slopes, z, other, strict=True)),
            torch.zeros_like(here),
        )
        assert (nonlinearity(*other, **constants) >= here + step - 1e-12).all()


@by_setting
def test_active_piece(nonlinearity: Nonlinearity, shapes: list[tuple[int, ...]], constants: dict[str, Tensor]) -> None:
    """Inputs with the same active pieces have the same Jacobian."""
    z, agreed = inputs(shapes, 0), 0
    for seed in range(1, 8):
        other = inputs(shapes, seed)
        same = nonlinearity.active_piece(*z, **constants) == nonlinearity.active_piece(*other, **constants)
        assert same.shape == nonlinearity(*z, **constants).shape
        assert same.all() == (nonlinearity == LeakyRelu(1.0))  # its pieces are equal: the lower one is active
        agreed += int(same.sum())
        for a, b in zip(*(jacobians(lambda *z: nonlinearity(*z, **constants), at) for at in (z, other)), strict=True):
            assert a[same].equal(b[same])
    assert agreed > 0


def test_names_and_equality() -> None:
    assert {nonlinearity.name for nonlinearity, _, _ in SETTINGS} == {
        *("relu", "leaky_relu", "prelu", "maximum", "abs", "amax", "max_pool", "adaptive_max_pool")
    }
    assert LeakyRelu(0.3) == LeakyRelu(0.3) != LeakyRelu(0.2)
    assert repr(Amax((1,), True)) == "Amax(dims=(1,), keepdim=True, first=False)"
