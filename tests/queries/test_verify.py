"""Enclosures, properties, verdicts and the checker of their proofs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import tropica as tp
from tests.degenerate_networks import degenerate_network
from tropica.exact.rational_arrays import rationals
from tropica.queries.enclosures import Enclosure
from tropica.queries.split_tree import _Network, check_tree
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import lower


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_enclosures_contain_exact_values(seed: int) -> None:
    case = degenerate_network(seed)
    lowered, random = lower(case.net), np.random.default_rng(seed)
    rows = np.concatenate([np.eye(case.outputs), random.standard_normal((1, case.outputs))])
    center = random.uniform(-2, 2, (6, case.d))
    half = 10.0 ** random.uniform(-6, 0.3, (6, 1)) * random.uniform(0, 1, (6, case.d))
    lo, hi = center - half, center + half
    forms, _ = Enclosure(lowered, rows)(lo, hi)
    checker = _Network(lowered)
    for k in range(6):
        least = checker.least(lo[k], hi[k], rows.astype(np.longdouble))
        x = np.clip(lo[k] + (hi[k] - lo[k]) * random.integers(0, 5, (8, case.d)) / 4, lo[k], hi[k])
        out = exact_points(lowered, rationals(x)).outputs
        for value in out.numerators.tolist():
            for m, row in enumerate(rows):
                exact = sum(Fraction(float(c)) * Fraction(int(v), out.denominator) for c, v in zip(row, value, strict=True))
                if np.isfinite(forms.low[k, m]):
                    assert Fraction(float(forms.low[k, m])) <= exact, case.name
                if np.isfinite(forms.high[k, m]):
                    assert exact <= Fraction(float(forms.high[k, m])), case.name
                if np.isfinite(least[m]):
                    assert Fraction(float(np.nextafter(float(least[m]), -np.inf))) <= exact, case.name


def absolute() -> tp.PiecewiseLinearNetwork:
    """|x| + |y|."""
    return tp.from_layers([([[1.0, 0], [-1, 0], [0, 1], [0, -1]], None), ([[1.0, 1, 1, 1]], None)])


def test_a_proof_is_checked_and_a_false_one_refused(tmp_path: Path) -> None:
    net, box, prop = absolute(), tp.Box(-1, 1, d=2), tp.Property.below(0, "2.001", 1)
    verdict = tp.verify(net, box, prop)
    assert verdict.holds
    verdict.save(tmp_path / "proof.npz")
    assert tp.check_verdict(net, box, prop, tmp_path / "proof.npz")
    assert not tp.check_verdict(net, box, tp.Property.below(0, 1.9, 1), tmp_path / "proof.npz")
    assert not tp.check_verdict(net, tp.Box(-1, 1.5, d=2), prop, tmp_path / "proof.npz")
    tree = verdict.trees[0]
    ends = np.full(2, -1.0), np.full(2, 1.0)
    unsafe = prop.cases[0][1]
    assert check_tree(lower(net), tree, *ends, unsafe)
    if tree.leaves > 1:
        cut_off = replace(tree, cut=np.where(tree.axis >= 0, 5.0, tree.cut))
        assert not check_tree(lower(net), cut_off, *ends, unsafe)
    loop = replace(tree, axis=np.zeros(3, np.int32), cut=np.zeros(3), child=np.ones(3, np.int64), rows=np.zeros((3, 1), int))
    assert not check_tree(lower(net), loop, *ends, unsafe)


def test_a_violation_is_a_float32_point_with_exact_outputs() -> None:
    found = tp.verify(absolute(), tp.Box(-1, 1, d=2), tp.Property.below(0, 1.9, 1))
    assert found.status == "violated"
    assert found.point is not None
    assert found.point.dtype == np.float32
    assert found.outputs is not None
    assert sum(abs(Fraction(float(v))) for v in found.point) == found.outputs[0]
    assert found.float32_outputs == pytest.approx(float(found.outputs[0]), rel=1e-6)


def test_a_property_that_holds_by_nothing_is_undecided() -> None:
    """|x| + |y| ≥ 0 is tight: no bound rounded outwards proves > 0 near 0, and 0 itself violates it."""
    tight = tp.verify(absolute(), tp.Box(-1, 1, d=2), tp.Property.above(0, 0, 1), max_boxes=300)
    assert tight.status in ("undecided", "violated")
    corner = tp.verify(absolute(), tp.Box([0.1, 0.1], [1, 1]), tp.Property.above(0, 0.2 + 1e-18, 1), max_boxes=300)
    assert corner.status in ("undecided", "violated")
    if corner.status == "violated":
        assert corner.outputs is not None
        assert corner.outputs[0] <= Fraction(0.2 + 1e-18)


VNNLIB = """; a comment
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (or (and (<= X_0 0.1) (>= X_0 -0.1)) (and (<= X_0 0.9) (>= X_0 0.7))))
(assert (>= X_1 0)) (assert (<= (* 2.0 X_1) 1))
(assert (<= Y_0 (+ Y_1 (* 3 Y_0) -1.5)))
"""


def test_vnnlib_decimals_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "p.vnnlib"
    path.write_text(VNNLIB)
    prop = tp.load_property(path)
    assert [[Fraction(v) for v in box.numbers().ravel()] for box, _ in prop.cases if box is not None] == [
        [Fraction(-1, 10), 0, Fraction(1, 10), Fraction(1, 2)],
        [Fraction(7, 10), 0, Fraction(9, 10), Fraction(1, 2)],
    ]
    assert [Fraction(v) for v in prop.cases[0][1][0].rows.numbers().ravel()] == [-2, -1, Fraction(-3, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(declare-const X_0 Real)", "variables must be"),
        (VNNLIB.replace("(assert (>= X_1 0))", ""), "X_1 has no lower bound"),
        (VNNLIB.replace("(* 3 Y_0)", "(* Y_1 Y_0)"), "is not linear"),
        (VNNLIB + "(", "a \\) is missing"),
        (VNNLIB + "(assert (=> Y_0 Y_1))", "no condition"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.vnnlib"
    path.write_text(text)
    with pytest.raises(tp.DataError, match=message):
        tp.load_property(path)


def test_bad_arguments(tmp_path: Path) -> None:
    net, box = absolute(), tp.Box(-1, 1, d=2)
    for call, message in (
        (lambda: tp.verify(net, box, tp.Property.label(0, 2)), "speaks of 2 outputs"),
        (lambda: tp.verify(net, tp.Space(2), tp.Property.above(0, 0, 1)), "needs a box"),
        (lambda: tp.verify(net, box, tp.Property.above(0, 0, 1), max_boxes=0), "max_boxes must be a positive"),
        (lambda: tp.Property.label(3, 2), "label must be one of"),
        (lambda: tp.load_property(tmp_path / "none.vnnlib"), "No such file"),
    ):
        with pytest.raises(tp.InputError, match=message):
            call()
