"""Vertices by linear programs: the same as by hulls, with correct and with wrong results of HiGHS."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import fractions, lifted
from tests.sizes import examples
from tropica.exact import linear_programs as programs
from tropica.polyhedra import integer_hulls
from tropica.polyhedra.configurations import lifted_configuration
from tropica.polyhedra.upper_hull import essential


@examples(50)
@given(lifted(most=8))
def test_programs_find_what_enumeration_finds(drawn):
    points, heights = drawn
    ready = lifted_configuration(points, heights)
    found = ready.index[integer_hulls.vertices_by_linear_programs(ready.lifted)]
    assert found.tolist() == oracle.essential(fractions(points), fractions(heights))


def lies(kind):
    def linprog(cost, A_ub, b_ub, bounds, method):
        rng = np.random.default_rng(len(b_ub))
        x = None if kind == "none" else rng.normal(size=len(cost)) * (1e9 if kind == "far" else 1.0)
        return SimpleNamespace(x=x, ineqlin=SimpleNamespace(marginals=-rng.random(len(b_ub)) * (kind != "near")))

    return linprog


@pytest.mark.parametrize("kind", ["none", "far", "near", "weights"])
def test_whatever_is_proposed_the_answer_is_right(monkeypatch, kind):
    monkeypatch.setattr(programs, "linprog", lies(kind))
    rng = np.random.default_rng(0)
    for _ in range(15):
        d = int(rng.integers(1, 4))
        points, heights = rng.integers(-2, 3, (9, d)), rng.integers(-2, 3, 9)
        ready = lifted_configuration(points, heights)
        assert (
            ready.index[integer_hulls.vertices_by_linear_programs(ready.lifted)].tolist() == essential(points, heights).tolist()
        )


@pytest.mark.parametrize("d", [6, 9, 14])
def test_many_dimensions(d):
    rng = np.random.default_rng(d)
    corners = np.concatenate([np.zeros((1, d), int), 4 * np.eye(d, dtype=int)])
    inside = np.ones((3, d), int) * [[0], [0], [0]] + np.eye(d, dtype=int)[:3]
    points, heights = np.concatenate([corners, inside]), np.zeros(d + 4, int)
    assert essential(points, heights).tolist() == list(range(d + 1))
    heights[-1] = 1
    assert essential(points, heights).tolist() == [*range(d + 1), d + 3]
    random, tops = rng.normal(size=(40, d)), rng.normal(size=40)
    found = set(essential(random, tops).tolist())
    x = rng.normal(size=(4000, d)) * np.geomspace(0.1, 30, 4000)[:, None]
    assert set((x @ random.T + tops).argmax(1).tolist()) <= found


def test_programs_and_hulls_agree_on_random_floats():
    rng = np.random.default_rng(0)
    points, heights = rng.random((150, 3)), rng.normal(size=150)
    ready = lifted_configuration(points, heights)
    found = ready.index[integer_hulls.vertices_by_linear_programs(ready.lifted)]
    assert found.tolist() == essential(points, heights).tolist()
