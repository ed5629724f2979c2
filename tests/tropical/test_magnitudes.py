"""Numbers of every magnitude of float64, and beyond it: every public function of numbers, against Fractions."""

from __future__ import annotations

import math
import random
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import tropica as tp
from tests.oracles.polyhedra import essential
from tests.sizes import some_slow
from tests.tropical.networks import mlp
from tropica.errors import InputError
from tropica.tropical.composition import compose


def number(r: random.Random) -> Any:
    """A float from 5e-324 to 1e300, an int, a Fraction or a decimal string, of any sign; often 0 or a repeated magnitude."""
    size = r.choice([5e-324, 1e-310, 1e-200, 1e-20, 1e-4, 1.0, 3.0, 1e9, 2.0**62, 1e100, 1e300]) * r.choice(
        [1, 1, r.random() + 0.5]
    )
    value = r.choice([-1, 1]) * size
    kind = r.randrange(6)
    if kind == 0:
        return 0
    if kind == 1:
        return int(value) if abs(value) >= 1 else Fraction(value) / 3
    return repr(value) if kind == 2 else value


def exact(value: Any) -> Fraction:
    return Fraction(value)


def agrees(found: float, want: Fraction, size: Fraction) -> bool:
    """Whether a float is right up to a rounding of ``size``."""
    return abs(Fraction(found) - want) <= size * Fraction(1, 2**48) + Fraction(5e-324) * 64


@pytest.mark.parametrize("seed", range(10))
def test_values_products_and_sums(seed: int) -> None:
    r = random.Random(seed)
    for _ in range(10):
        d, n = r.randint(1, 3), r.randint(1, 4)
        rows = [[number(r) for _ in range(d + 1)] for _ in range(n)]
        make = r.choice([tp.TropicalPolynomial, tp.MinPlusPolynomial])
        best = max if make is tp.TropicalPolynomial else min
        f = make({tuple(row[:-1]): row[-1] for row in rows})
        x = [number(r) for _ in range(d)]
        at = [exact(v) for v in x]
        values = [c + sum(a * v for a, v in zip(e, at, strict=True)) for e, c in f.to_dict().items()]
        assert f.exact(x) == best(values)
        assert (f * f).exact(x) == (f**2).exact(x) == 2 * best(values)
        assert (f + exact(number(r))).variables == d
        assert (f / f).exact(x) == 0
        assert f == f * 1 * -1
        assert make.from_arrays(f.exponents, f.coefficients) == f
        assert len(repr(f)) < 4000
        assert f.latex()
        points = [float(v) for v in x]
        size = max(
            sum(abs(Fraction(a) * Fraction(p)) for a, p in zip(e, points, strict=True)) + abs(c) for e, c in f.to_dict().items()
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                assert agrees(f(points), f.exact(points), size)
                assert f.margin(points) >= 0
                assert 0 <= f.active_term(torch.tensor([points], dtype=torch.float64)).item() < len(f)
            except InputError as error:
                assert "beyond float64" in str(error)  # noqa: PT017
                assert size > Fraction(1e300)


@pytest.mark.parametrize("seed", some_slow(range(12), quick=3))
def test_hulls_and_curves(seed: int) -> None:
    r = random.Random(100 + seed)
    for _ in range(3):
        d, n = r.randint(1, 2), r.randint(2, 5)
        rows = [[number(r) for _ in range(d + 1)] for _ in range(n)]
        f = tp.TropicalPolynomial({tuple(row[:-1]): row[-1] for row in rows})
        items = list(f.to_dict().items())
        keep = essential([list(map(Fraction, e)) for e, _ in items], [Fraction(c) for _, c in items])
        assert list(f.essential().to_dict().items()) == [items[i] for i in keep]
        surface = f.hypersurface()
        for vertex, cell in zip(surface.vertices.tolist(), f.dual_subdivision().cells, strict=True):
            values = f.exact_terms(vertex)
            assert {i for i, v in enumerate(values) if v == max(values)} >= set(cell)
        mirrored = tp.MinPlusPolynomial({tuple(-Fraction(a) for a in e): -Fraction(c) for e, c in items}).hypersurface()
        assert sorted(mirrored.vertices.tolist()) == sorted(surface.vertices.tolist())
        assert f.newton_polytope().dimension <= d
        assert compose(f, *[f] * d).variables == d
        assert tp.tropical.overlay(f).maps == len(keep)
        if d == 2:
            z = tp.polyhedra.Zonotope(f.exponents)
            assert len(z.vertices) >= 1
            assert tp.mixed_volume(f, f) >= 0
        assert tp.polyhedra.hoffman_constant(f.exponents).lower > 0 if any(map(any, f.exponents.tolist())) else True


@pytest.mark.parametrize("scale", some_slow([0.01, 5e-324, 1e-300, 1e-20, 1e20, 1e150], quick=1))
def test_scaled_networks(scale: float) -> None:
    """Both methods, for weights of any size: the value at rational points is that of the network."""
    model = mlp(2, 3, 2, seed=3, whole=False)
    with torch.no_grad():
        for p in model[0].parameters():
            p.mul_(scale)
    layers = [(m.weight.tolist(), m.bias.tolist()) for m in model if isinstance(m, torch.nn.Linear)]
    x = [Fraction(1, 3), Fraction(-2, 7)]
    h: list[Fraction] = list(x)
    for i, (weight, bias) in enumerate(layers):
        h = [
            Fraction(b) + sum(Fraction(w) * v for w, v in zip(row, h, strict=True)) for row, b in zip(weight, bias, strict=True)
        ]
        h = [max(v, Fraction(0)) for v in h] if i < len(layers) - 1 else h
    assert tp.to_tropical(model, method="algebra").exact(x) == tuple(h)


def test_matrices_of_any_size() -> None:
    r = random.Random(5)
    m = tp.tropical.matrices
    for _ in range(20):
        n = r.randint(1, 3)
        a = [[float(number(r)) for _ in range(n)] for _ in range(n)]
        with np.errstate(all="raise"):
            value = m.matmul(a, a)
        for i in range(n):
            for j in range(n):
                want = max(Fraction(a[i][k]) + Fraction(a[k][j]) for k in range(n))
                assert math.isclose(float(want), value[i, j], rel_tol=1e-12, abs_tol=1e-300)
