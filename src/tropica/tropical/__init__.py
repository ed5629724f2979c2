"""Tropical algebra, exactly: polynomials, rational functions, matrices, and networks as tropical rational maps."""

from tropica.tropical import matrices
from tropica.tropical.boundary_superset import BoundarySuperset, boundary_superset
from tropica.tropical.composition import compose
from tropica.tropical.dc_polynomials import (
    DecompositionPolynomials,
    Membership,
    decomposition_polynomials,
    largest_excess,
    membership,
)
from tropica.tropical.from_network import to_tropical
from tropica.tropical.from_terms import from_terms
from tropica.tropical.generator_pruning import SmallerNetwork, drop_generators
from tropica.tropical.hoffman import polynomial_hoffman_constant
from tropica.tropical.intersections import Intersection, IntersectionCell, mixed_cells, prevariety, stable_intersection
from tropica.tropical.limits import TooManyMonomials
from tropica.tropical.mixed_volume import mixed_volume
from tropica.tropical.monomial_pruning import Simplified, simplify
from tropica.tropical.overlay import Overlay, overlay
from tropica.tropical.polynomial import MinPlusPolynomial, TropicalPolynomial, TropicalRational
from tropica.tropical.random_functions import random_polynomial, random_rational
from tropica.tropical.rational_map import TropicalMap
from tropica.tropical.sums import tropical_prod, tropical_sum
from tropica.tropical.to_network import LinearSum, SparseTournamentLayer, to_network
from tropica.tropical.zonotopes import LayerPolytopes, zonotopes

__all__ = [
    "BoundarySuperset",
    "DecompositionPolynomials",
    "Intersection",
    "IntersectionCell",
    "LayerPolytopes",
    "LinearSum",
    "Membership",
    "MinPlusPolynomial",
    "Overlay",
    "Simplified",
    "SmallerNetwork",
    "SparseTournamentLayer",
    "TooManyMonomials",
    "TropicalMap",
    "TropicalPolynomial",
    "TropicalRational",
    "boundary_superset",
    "compose",
    "decomposition_polynomials",
    "drop_generators",
    "from_terms",
    "largest_excess",
    "matrices",
    "membership",
    "mixed_cells",
    "mixed_volume",
    "overlay",
    "polynomial_hoffman_constant",
    "prevariety",
    "random_polynomial",
    "random_rational",
    "simplify",
    "stable_intersection",
    "to_network",
    "to_tropical",
    "tropical_prod",
    "tropical_sum",
    "zonotopes",
]
