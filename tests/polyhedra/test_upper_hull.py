"""Upper hulls: against enumeration in Fractions, on degenerate and adversarial input, and without Qhull."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import fractions, lifted, value
from tests.sizes import examples
from tropica.errors import InputError
from tropica.polyhedra import coplanar_cells, integer_hulls, triangulation
from tropica.polyhedra.configurations import lifted_configuration
from tropica.polyhedra.triangulation import Unverified, triangulate
from tropica.polyhedra.upper_hull import essential, upper_hull


@examples(80)
@given(lifted())
def test_essential_is_what_enumeration_finds(configuration_):
    points, heights = configuration_
    assert essential(points, heights).tolist() == oracle.essential(fractions(points), fractions(heights))


@examples(80)
@given(lifted())
def test_cells_tie_exactly_at_their_slopes_and_nowhere_is_more(configuration_):
    points, heights = configuration_
    hull = upper_hull(points, heights)
    for cell, x, top in zip(hull.cells, hull.slopes.tolist(), hull.values.tolist(), strict=True):
        assert value(points, heights, x) == top
        ties = [
            i
            for i, (p, h) in enumerate(zip(points.tolist(), heights.tolist(), strict=True))
            if sum(a * b for a, b in zip(p, x, strict=True)) + h == top
        ]
        assert {tuple(points[i]) for i in ties} == {tuple(points[i]) for i in cell}
        assert len({tuple(points[i]) for i in cell}) == len(cell)


@examples(80)
@given(lifted(most=8, dimensions=(1, 2)))
def test_cells_are_what_enumeration_finds(configuration_):
    points, heights = configuration_
    hull = upper_hull(points, heights)
    if hull.dimension == points.shape[1] and len(hull.configuration.index) == len(points):
        assert {frozenset(c) for c in hull.cells} == oracle.cells(fractions(points), fractions(heights))


@examples(60)
@given(lifted(most=8))
def test_gift_wrapping_alone_gives_the_same(configuration_):
    points, heights = configuration_
    quick = upper_hull(points, heights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integer_hulls, "propose", lambda points: None)
        slow = upper_hull(points, heights)
    assert slow.cells == quick.cells
    assert slow.vertices.tolist() == quick.vertices.tolist()
    assert slow.slopes.tolist() == quick.slopes.tolist()


def random_points(seed: int = 0, n: int = 40, d: int = 2):
    rng = np.random.default_rng(seed)
    return rng.integers(-50, 50, (n, d)), rng.integers(-50, 50, n)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("damage", ["drop one", "repeat one", "another corner", "the lower hull", "nothing"])
def test_no_damaged_proposal_passes_and_the_answer_stays_right(monkeypatch, d, damage):
    points, heights = random_points(d=d)
    expected = upper_hull(points, heights)
    ready = lifted_configuration(points, heights).lifted
    true = triangulate(ready).simplices
    changed = true.copy()
    changed[0, 0] = next(i for i in range(len(points)) if i not in true)
    damaged = {
        "drop one": true[1:],
        "repeat one": np.concatenate([true, true[:1]]),
        "another corner": changed,
        "the lower hull": triangulate(lifted_configuration(points, -heights).lifted).simplices,
        "nothing": true[:0],
    }[damage]
    monkeypatch.setattr(triangulation, "_proposal", lambda points, joggle: damaged.copy())
    with pytest.raises(Unverified):
        triangulate(ready)
    monkeypatch.setattr(integer_hulls, "gift_wrap", _counted(calls := [], integer_hulls.gift_wrap))
    found = upper_hull(points, heights)
    assert calls
    assert found.cells == expected.cells
    assert found.vertices.tolist() == expected.vertices.tolist()


def _counted(calls, function):
    def inner(points):
        calls.append(1)
        return function(points)

    return inner


def test_sheets_that_overlap_are_refused(monkeypatch):
    # Two triangulations of a square without a common ridge: the boundary of one contains the midpoints of the sides.
    points = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 0], [4, 2], [2, 4], [0, 2], [1, 2]])
    around = [0, 4, 1, 5, 2, 6, 3, 7, 0]
    fan = [[a, b, 8] for a, b in itertools.pairwise(around)]
    ready = lifted_configuration(points, np.zeros(9, int)).lifted
    for sheet in (fan, [[0, 1, 2], [0, 2, 3]]):
        monkeypatch.setattr(triangulation, "_proposal", lambda points, joggle, sheet=sheet: np.array(sheet))
        assert len(triangulate(ready).simplices) == len(sheet)
    monkeypatch.setattr(triangulation, "_proposal", lambda points, joggle: np.array([*fan, [0, 1, 2], [0, 2, 3]]))
    with pytest.raises(Unverified, match="overlap"):
        triangulate(ready)


@pytest.mark.parametrize(
    ("points", "heights", "proposal", "words"),
    [
        ([[0, 0], [1, 0], [1, 1], [0, 1]], [1, 0, 1, 0], [[0, 1, 3], [1, 2, 3]], "not concave"),
        ([[0, 0], [4, 0], [0, 4], [1, 1]], [0, 0, 0, 5], [[0, 1, 2]], "above the hull"),
        ([[0, 0], [4, 0], [0, 4], [1, 1]], [0, 0, 0, -5], [[0, 1, 3], [1, 2, 3], [0, 2, 3]], "not concave"),
        ([[0, 0], [4, 0], [0, 4], [5, 5]], [0, 0, 0, 0], [[0, 1, 2]], "outside of all simplices"),
        ([[0, 0], [4, 0], [0, 4], [1, 1]], [0, 0, 0, -5], [[0, 1, 2], [0, 1, 3]], "on one side"),
        ([[0, 0], [4, 0], [0, 4], [4, 4]], [0, 0, 0, 0], [[0, 1, 2], [0, 1, 2]], "on one side"),
        ([[0, 0], [4, 0], [0, 4], [1, 1]], [0] * 4, [[0, 1, 3], [0, 2, 3]], "beyond the boundary"),
        ([[0, 0], [4, 0], [0, 4], [2, 0]], [0, 0, 0, 0], [[0, 1, 3]], "no simplex with nonzero volume"),
    ],
)
def test_each_check_of_a_proposal_refuses_what_it_is_for(monkeypatch, points, heights, proposal, words):
    monkeypatch.setattr(triangulation, "_proposal", lambda points, joggle: np.array(proposal))
    with pytest.raises(Unverified, match=words):
        triangulate(lifted_configuration(points, heights).lifted)


def test_gaps_far_below_floating_point_are_seen():
    # Five points on a parabola, the middle one lowered to slightly above, on or slightly below its chord.
    points = [[0], [1], [2]]
    for delta, expected in ((Fraction(1, 10**60), [0, 1, 2]), (0, [0, 2]), (-Fraction(1, 10**60), [0, 2])):
        assert essential(points, np.array([0, delta, 0], dtype=object)).tolist() == expected
    grid = np.array([[i, j] for i in range(5) for j in range(5)])
    heights = np.array([Fraction(-(i * i + j * j), 10**40) for i, j in grid.tolist()], dtype=object)
    hull = upper_hull(grid, heights)
    assert len(hull.vertices) == 25
    assert len(hull.cells) == 16
    assert {len(c) for c in hull.cells} == {4}
    heights[12] += Fraction(
        1, 10**55
    )  # with the middle one slightly higher its four squares are divided by diagonals through it
    assert sorted(len(c) for c in upper_hull(grid, heights).cells) == [3] * 8 + [4] * 12


def test_numbers_beyond_the_range_of_floats():
    huge = 10**400
    points = np.array([[0, 0], [huge, 0], [0, 1], [huge, 1], [huge // 2, 0]], dtype=object)
    assert essential(points, [0, 0, 0, 0, 1]).tolist() == [0, 1, 2, 3, 4]
    assert essential(points, [0, 2, 0, 0, 1]).tolist() == [0, 1, 2, 3]
    tiny = np.array([1, Fraction(1, huge), 0], dtype=object)
    assert essential(np.array([[0], [1], [2]]), tiny).tolist() == [0, 2]
    assert upper_hull([[0], [1]], np.array([0, Fraction(1, huge)], dtype=object)).slopes.tolist() == [[Fraction(-1, huge)]]


def test_floats_are_the_rationals_they_are():
    # 0.1 + 0.2 is above 0.3
    points = [[0], [1], [2]]
    assert essential(points, [0.0, (0.1 + 0.2) / 2, 0.3]).tolist() == [0, 1, 2]
    assert essential(points, [0.0, 0.15, 0.3]).tolist() == [0, 2]


@pytest.mark.parametrize("n", [1, 2])
def test_no_variables_at_all(n):
    hull = upper_hull(np.zeros((n, 0)), np.arange(n))
    assert hull.vertices.tolist() == [n - 1]
    assert hull.cells == [(n - 1,)]
    assert hull.dimension == 0


def test_of_repeated_points_the_first_highest_is_kept():
    points, heights = [[0, 0], [1, 0], [0, 0], [0, 0], [0, 1]], [0, 0, 5, 5, 0]
    hull = upper_hull(points, heights)
    assert hull.vertices.tolist() == [1, 2, 4]
    assert hull.cells == [(1, 2, 4)]


def test_many_collinear_and_coplanar_points():
    n = 400
    line = np.arange(n)[:, None]
    assert essential(line, np.zeros(n, int)).tolist() == [0, n - 1]
    grid = np.array([[i, j, k] for i in range(6) for j in range(6) for k in range(6)])
    hull = upper_hull(grid, grid.sum(1))
    assert hull.cells == [tuple(range(216))]
    assert len(hull.vertices) == 8


@pytest.mark.parametrize(("d", "n"), [(2, 3000), (3, 600), (4, 200)])
def test_random_floats_against_the_value_of_the_maximum(d, n):
    rng = np.random.default_rng(d)
    points, heights = rng.random((n, d)), rng.normal(size=n)
    found = essential(points, heights)
    x = rng.normal(size=(2000, d)) * np.geomspace(0.1, 30, 2000)[:, None]
    largest = (x @ points.T + heights).argmax(1)
    assert set(largest.tolist()) <= set(found.tolist())
    hull = upper_hull(points, heights)
    assert hull.vertices.tolist() == found.tolist()
    assert set(found.tolist()) == {i for cell in hull.cells for i in cell}


@pytest.mark.parametrize(
    ("points", "heights", "words"),
    [
        ([], [], "at least one point"),
        (np.zeros((0, 2)), [], "at least one point"),
        ([[0, 1], [2, 3]], [1], "2 points and 1 heights"),
        ([[0, 1], [2]], [1, 1], "different lengths"),
        ([0, 1], [1, 1], "shape (2,)"),
        ([[0.0], [np.nan]], [0, 0], "(1, 0) is nan"),
        ([[0.0], [np.inf]], [0, 0], "(1, 0) is inf"),
        ([[0], [1]], [0, -np.inf], "(1,) is -inf"),
        ([[0], [1]], np.array([0, float("nan")], dtype=object), "found nan"),
        ([[0], ["a"]], [0, 0], "found 'a'"),
        ([[0], [1j]], [0, 0], "complex128"),
        (np.array([[0], [None]], dtype=object), [0, 0], "found None"),
    ],
)
def test_bad_input_is_named(points, heights, words):
    with pytest.raises(InputError) as error:
        essential(points, heights)
    assert words in str(error.value)


def test_ranks_that_vanish_modulo_the_prime_are_exact():
    p = coplanar_cells.PRIME
    square = np.array([[0, 0], [p, 0], [p, p], [0, p], [p // 2, p // 2]])
    assert essential(square, [0] * 5).tolist() == [0, 1, 2, 3]
