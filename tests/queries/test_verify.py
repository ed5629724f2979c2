"""Enclosures, properties, verdicts and the checker of their proofs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tropica as tp
from tests.degenerate_networks import degenerate_network
from tropica.exact.rational_arrays import rationals
from tropica.queries.enclosures import Enclosure
from tropica.queries.proof_check import Checker, Leaves
from tropica.queries.proof_tree import Tree, proven_bound
from tropica.queries.threshold_program import Program, threshold_program
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered, lower


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_enclosures_contain_exact_values(seed: int) -> None:
    case = degenerate_network(seed)
    lowered, random = lower(case.net), np.random.default_rng(seed)
    rows = np.concatenate([np.eye(case.outputs), random.standard_normal((1, case.outputs))])
    lo, hi = random_boxes(case, random, 6)
    forms, _ = Enclosure(lowered, rows)(lo, hi)
    for k in range(6):
        for exact in exact_values(lowered, rows, lo[k], hi[k], random):
            for m, value in enumerate(exact):
                if np.isfinite(forms.low[k, m]):
                    assert Fraction(float(forms.low[k, m])) <= value, case.name
                if np.isfinite(forms.high[k, m]):
                    assert value <= Fraction(float(forms.high[k, m])), case.name


def random_boxes(case: Any, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    center = random.uniform(-2, 2, (count, case.d))
    half = 10.0 ** random.uniform(-6, 0.3, (count, 1)) * random.uniform(0, 1, (count, case.d))
    return center - half, center + half


def exact_values(
    lowered: Lowered, rows: np.ndarray, lo: np.ndarray, hi: np.ndarray, random: np.random.Generator
) -> Iterator[list[Fraction]]:
    """Of points of a box the values of rows of the outputs."""
    x = np.clip(lo + (hi - lo) * random.integers(0, 5, (8, len(lo))) / 4, lo, hi)
    out = exact_points(lowered, rationals(x)).outputs
    for value in out.numerators.tolist():
        yield [
            sum((Fraction(float(c)) * Fraction(int(v), out.denominator) for c, v in zip(row, value, strict=True)), Fraction(0))
            for row in rows
        ]


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_the_checker_is_below_exact_values_with_any_multipliers(seed: int) -> None:
    """Random α, β, weights and signs: at each point with those signs the objective is at least the checker's bound."""
    case = degenerate_network(seed)
    lowered, random = lower(case.net), np.random.default_rng(seed)
    program = threshold_program(lowered)
    rows, offsets = random.standard_normal((2, case.outputs)), random.standard_normal(2)
    checker = Checker(program, rows, offsets)
    lo, hi = random_boxes(case, random, 6)
    units = program.units
    for refresh in (False, True):
        for k in range(6):
            x = np.clip(lo[k] + (hi[k] - lo[k]) * random.integers(0, 5, (6, case.d)) / 4, lo[k], hi[k])
            for one in x:
                signs = np.where(random.random(units) < 0.3, exact_signs(program, one), 0)
                leaf = Leaves(
                    lo[k][None], hi[k][None], signs[None], random.random((1, units)), np.arange(units),
                    random.exponential(1, (1, units)), random.random((1, 2)),
                )  # fmt: skip
                least = checker.least(leaf, checker.root_rows(lo[k][None], hi[k][None]), refresh=refresh)[0]
                y = exact_outputs(program, one)
                value = sum(
                    Fraction(float(w)) * (sum(Fraction(float(c)) * v for c, v in zip(row, y, strict=True)) - Fraction(float(b)))
                    for w, row, b in zip(leaf.weights[0], rows, offsets, strict=True)
                )
                if not np.isnan(least):
                    assert least == -np.inf or (np.isfinite(least) and Fraction(float(least)) <= value), case.name


def exact_units(program: Program, x: np.ndarray) -> tuple[list[list[Fraction]], list[Fraction]]:
    """The rows of each layer of a program at a float point, and the outputs, in Fractions."""
    values: dict[int, list[Fraction]] = {-1: [Fraction(float(v)) for v in x]}
    found = []
    for k, layer in enumerate((*program.layers, program.output)):
        z = [Fraction(float(b)) for b in layer.bias]
        for source, w in layer.weights.items():
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            z = [
                a + sum(Fraction(float(c)) * v for c, v in zip(r, values[source], strict=True))
                for a, r in zip(z, dense, strict=True)
            ]
        values[k] = [Fraction(float(high if v > 0 else low)) * v for v, low, high in zip(z, layer.low, layer.high, strict=True)]
        found.append(z)
    return found[:-1], found[-1]


def exact_signs(program: Program, x: np.ndarray) -> np.ndarray:
    return np.array([1 if v > 0 else -1 for z in exact_units(program, x)[0] for v in z])


def exact_outputs(program: Program, x: np.ndarray) -> list[Fraction]:
    return exact_units(program, x)[1]


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_a_program_is_the_network(seed: int) -> None:
    """Windows as trees of maxima: where the matrices are exact, so are the values."""
    case = degenerate_network(seed)
    lowered, random = lower(case.net), np.random.default_rng(seed)
    program = threshold_program(lowered)
    for x in random.integers(-8, 9, (4, case.d)) / 4:
        out = exact_points(lowered, rationals(x[None])).outputs
        exact = [Fraction(int(v), out.denominator) for v in out.numerators[0]]
        assert [float(v) for v in exact_outputs(program, x)] == pytest.approx([float(v) for v in exact], rel=1e-12, abs=1e-300)


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


def corruptions(tree: Tree) -> Iterator[Tree]:
    """Proofs that are none: a number changed in each part of a tree."""
    if len(tree.node):
        if tree.axis[0] >= 0:
            yield replace(tree, cut=tree.cut + 5.0)
        yield replace(tree, child=tree.child * 0)
        yield replace(tree, axis=tree.axis + 50)
        yield replace(tree, axis=-2 - np.full_like(tree.axis, 1 << 40))
        yield replace(tree, node=tree.node[:-1])
    yield replace(tree, weights=tree.weights * 0)
    yield replace(tree, weights=-tree.weights)
    yield replace(tree, weights=tree.weights * np.nan)
    yield replace(tree, leaf=tree.leaf[:-1], weights=tree.weights[:-1], alpha=tree.alpha[:-1], count=tree.count[:-1])
    yield replace(tree, count=tree.count + 1)
    yield replace(tree, alpha=tree.alpha.astype(float) + 1e300)
    yield replace(tree, columns=tree.columns + 1000)


@pytest.mark.parametrize("inputs", [2, 10])
def test_corrupted_trees_are_refused(inputs: int) -> None:
    net, box, level = nearly_largest(inputs)
    prop = tp.Property.below(0, level, 1)
    verdict = tp.verify(net, box, prop, max_seconds=60)
    assert verdict.holds
    assert verdict.proof is not None
    (tree,) = verdict.proof.trees()
    assert len(tree.leaf) > 1
    rows = prop.cases[0][1][0].rows.floats()
    checker = Checker(threshold_program(lower(net)), rows[:, :-1], rows[:, -1])
    assert proven_bound(checker, tree, box.lo, box.hi) > 0
    for wrong in corruptions(tree):
        assert not proven_bound(checker, wrong, box.lo, box.hi) > 0
    assert bool((tree.axis < 0).all()) is (inputs > 8)
    larger = Checker(threshold_program(lower(net)), rows[:, :-1], rows[:, -1] + 0.5)
    assert not proven_bound(larger, tree, box.lo, box.hi) > 0


def nearly_largest(inputs: int) -> tuple[tp.PiecewiseLinearNetwork, tp.Box, float]:
    """A small random network of two means of the inputs, a box, and a number little above its largest output there."""
    random = np.random.default_rng(3)
    first, second = random.standard_normal((6, 2)), random.standard_normal((5, 6))
    last = random.standard_normal((1, 5))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 201)] * 2), -1).reshape(-1, 2)
    most = (np.maximum(np.maximum(grid @ first.T, 0) @ second.T, 0) @ last.T).max()
    means = np.kron(np.eye(2), np.full(inputs // 2, 2 / inputs))
    net = tp.from_layers([(first @ means, None), (second, None), (last, None)])
    return net, tp.Box(-1, 1, d=inputs), float(most) + 0.05


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


@pytest.mark.parametrize("widths", [(12, 3), (12, 6, 3)], ids=["affine", "no unit bends"])
def test_many_inputs_and_no_unit_that_bends(widths: tuple[int, ...], tmp_path: Path) -> None:
    """Above 8 inputs: the whole box is one affine function, without branches and without multipliers."""
    rng = np.random.default_rng(0)
    net = tp.from_layers([(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in pairwise(widths)])
    x = rng.uniform(size=12)
    box = tp.Box(x - 1e-6, x + 1e-6)
    prop = tp.Property.label(int(net.predict(torch.from_numpy(x)[None])[0]), outputs=3)
    verdict = tp.verify(net, box, prop)
    verdict.save(tmp_path / "proof.npz")
    assert verdict.holds
    assert tp.check_verdict(net, box, prop, tmp_path / "proof.npz")
    found = tp.output_range(net, box, 0)
    assert float(found.minimum.bound) <= float(net(torch.from_numpy(x)[None])[0, 0]) <= float(found.maximum.bound)


def test_a_violation_at_one_vertex_alone_is_found() -> None:
    """min |x − 1/3| + |y − 1/7| is 0, at a point that is no float."""
    layers = [([[3.0, 0], [-3, 0], [0, 7], [0, -7]], [-1.0, 1, -1, 1]), ([[1.0, 1, 1, 1]], None)]
    found = tp.verify(tp.from_layers(layers), tp.Box(0, 1, d=2), tp.Property.above(0, 0, 1), max_seconds=60)
    assert found.status == "violated"
    assert found.point is None
    assert found.rational == (Fraction(1, 3), Fraction(1, 7))
    assert found.outputs == (0,)


def interrupted(boxes: int) -> Callable[[int, int, str], None]:
    """A report of progress that presses Ctrl-C once so many boxes are done."""

    def report(done: int, total: int, message: str) -> None:
        if done >= boxes and not pressed:
            pressed.append(done)
            signal.raise_signal(signal.SIGINT)

    pressed: list[int] = []
    return report


@pytest.mark.parametrize("inputs", [2, 12], ids=["splits inputs", "splits units"])
def test_ctrl_c_ends_a_search_with_what_there_is(inputs: int) -> None:
    net, box, level = nearly_largest(inputs)
    verdict = tp.verify(net, box, tp.Property.below(0, level, 1), progress=interrupted(1))
    assert (verdict.status, verdict.stopped, verdict.boxes > 0, verdict.left) == ("undecided", "Ctrl-C", True, 1.0)
    found = tp.output_range(net, box, 0, progress=interrupted(1))
    assert (found.stopped, found.exact) == ("Ctrl-C", False)
    for end, sign in ((found.minimum, 1), (found.maximum, -1)):
        y = exact_outputs(threshold_program(lower(net)), end.point.ravel())[0]
        assert sign * end.bound < sign * end.value == sign * y
    seen: list[tuple[int, int, str]] = []
    whole = tp.verify(net, box, tp.Property.below(0, level, 1), progress=lambda *step: seen.append(step))
    assert (whole.status, whole.stopped) == ("holds", None)
    assert (seen[0], seen[-1]) == ((0, 0, "nodes"), (whole.boxes, 0, "nodes"))


@pytest.mark.parametrize("ends", [(1e38, 1e39), (3.5e38, 1e39), (-1e308, 1e308)], ids=["around", "beyond", "widest"])
def test_boxes_beyond_float32(ends: tuple[float, float]) -> None:
    """|x| + |y| on boxes with points that are no float32 numbers, and on one whose width is no float64 number."""
    box = tp.Box(*ends, d=2)
    found = tp.verify(absolute(), box, tp.Property.below(0, 1e38, 1))
    assert found.status == "violated"
    assert found.rational is not None
    assert all(Fraction(ends[0]) <= v <= Fraction(ends[1]) for v in found.rational)
    assert found.outputs == (sum(abs(v) for v in found.rational),)
    assert (found.point is None) is (ends[0] > 3.41e38)
    extremes = tp.output_range(absolute(), box)
    assert extremes.exact
    assert extremes.minimum.value == (0 if ends[0] < 0 else 2 * Fraction(ends[0]))
    assert extremes.maximum.value == 2 * Fraction(ends[1])
