"""Tropical algebra, exactly: polynomials, rational functions, matrices, and networks as tropical rational maps."""

from tropica.tropical import matrices
from tropica.tropical.boundary import BoundarySuperset, boundary_superset
from tropica.tropical.bridge import DecompositionPolynomials, Membership, decomposition_polynomials, largest_excess, membership
from tropica.tropical.counts import Overlay, overlay, random_polynomial, random_rational
from tropica.tropical.extracted import from_terms
from tropica.tropical.from_network import TooManyMonomials, to_tropical
from tropica.tropical.minplus import MinPlusPolynomial
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational
from tropica.tropical.simplify import Simplified, SmallerNetwork, drop_generators, simplify
from tropica.tropical.to_network import LinearSum, Match, to_network
from tropica.tropical.zonotopes import LayerPolytopes, zonotopes

__all__ = [
    "BoundarySuperset",
    "DecompositionPolynomials",
    "LayerPolytopes",
    "LinearSum",
    "Match",
    "Membership",
    "MinPlusPolynomial",
    "Overlay",
    "Simplified",
    "SmallerNetwork",
    "TooManyMonomials",
    "TropicalMap",
    "TropicalPolynomial",
    "TropicalRational",
    "boundary_superset",
    "decomposition_polynomials",
    "drop_generators",
    "from_terms",
    "largest_excess",
    "matrices",
    "membership",
    "overlay",
    "random_polynomial",
    "random_rational",
    "simplify",
    "to_network",
    "to_tropical",
    "zonotopes",
]
