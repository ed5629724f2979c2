"""Lower bounds: known numbers, networks that attain them, and comparison with the upper bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.bounds.constructions import folded, in_cube, seen, zonotope
from tropica import bounds


def test_the_published_numbers():
    assert bounds.montufar2014((2, 16, 16, 16)) == 561152
    assert bounds.serra2018_lower((2, 16, 16, 16)) == 898857


@pytest.mark.parametrize("w", [(1, 3), (1, 3, 3), (1, 4, 3), (1, 3, 5, 4)])
def test_serra_is_the_maximal_number_on_a_line(w):
    assert in_cube(folded(w), points=20_011) == bounds.serra2018_lower(w) == bounds.serra2018(w)


@pytest.mark.parametrize("w", [(2, 6, 3), (2, 6, 6), (2, 9, 4)])
def test_a_network_attains_the_lower_bound_of_serra_in_the_plane(w):
    if min(w[1:]) >= 3 * w[0]:
        assert bounds.serra2018_lower(w) <= in_cube(folded(w), points=501) <= bounds.serra2018(w)
    assert bounds.montufar2014(w) <= in_cube(folded(w), points=501)


@pytest.mark.parametrize("w", [(1, 1, 3), (1, 2, 2, 3), (2, 2, 5), (2, 4, 4), (2, 5, 2, 3), (2, 4, 4, 3)])
def test_a_network_attains_the_lower_bound_of_montufar(w):
    found = in_cube(folded(w), points=501)
    assert bounds.montufar2014(w) <= found <= bounds.serra2018(w)


@pytest.mark.parametrize("w", [(2, 2), (2, 6), (2, 4, 2), (2, 6, 3), (2, 6, 3, 3), (2, 4, 2, 2, 2)])
def test_a_network_attains_the_lower_bound_of_arora(w):
    found = seen(zonotope(w), low=-1.5, high=1.5, points=501)
    assert bounds.arora2018(w) <= found <= bounds.serra2018(w)


@given(st.integers(1, 4), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_no_lower_bound_is_above_an_upper_one(n0, hidden):
    table = bounds.bounds_of((n0, *hidden))
    lower = [b.value for b in table.values() if b.kind == "lower"]
    assert max(lower, default=1) <= min(b.value for b in table.values() if b.kind == "upper")
    if "serra2018_lower" in table:
        assert table["montufar2014"].value <= table["serra2018_lower"].value


def test_one_layer_is_exact():
    for w in ((1, 3), (2, 7), (3, 9)):
        assert bounds.montufar2014(w) == bounds.serra2018_lower(w) == bounds.zaslavsky(w)


def test_what_a_theorem_does_not_cover_is_refused():
    with pytest.raises(tp.InputError, match=r"at least the input dimension, 3; found \(5, 2\)"):
        bounds.montufar2014((3, 5, 2))
    with pytest.raises(tp.InputError, match=r"at least 3 times the input dimension, 6; found \(6, 5\)"):
        bounds.serra2018_lower((2, 6, 5))
    for w in ((2, 5, 3), (2, 4, 3, 2), (2, 4, 1)):
        with pytest.raises(tp.InputError, match="even first hidden width and one width of 2 or more"):
            bounds.arora2018(w)
