"""The certified linear program: its exact simplex method against enumeration, and the certificates."""

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given

from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import fractions, lifted
from tests.sizes import examples
from tropica.exact.linear_programs import _reaches_origin, exceeds_upper_hull
from tropica.exact.rational_arrays import rationals


@examples(50)
@given(lifted(most=7))
def test_the_exact_simplex_method(drawn):
    points, heights = drawn
    z = np.concatenate([points, heights[:, None]], 1)
    covers = False
    for size in range(1, points.shape[1] + 2):
        for chosen in itertools.combinations(range(len(points)), size):
            w = oracle.weights([Fraction(0)] * points.shape[1], [fractions(points)[i] for i in chosen])
            if w is not None and min(w) >= 0 and sum(a * heights[i] for a, i in zip(w, chosen, strict=True)) >= 0:
                covers = True
    integers = rationals(z).numerators
    assert _reaches_origin(z) == _reaches_origin(integers) == covers
    assert exceeds_upper_hull(integers, integers.astype(float), [Fraction(1)] * z.shape[1]) != covers
