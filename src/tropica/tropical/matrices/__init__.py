"""Tropical matrices of either convention: products, powers, Kleene star, determinant, eigenvalue and eigenvectors, cycle means.

Entries are floats, ints, Fractions or strings such as "1/3", and the tropical zero: −∞ in max-plus, +∞ with
``convention="min"``. Floats and ints below 2^53 are float64, and so are results; arrays with Fractions, strings or larger ints
(dtype object) stay exact. A sum that float64 does not hold is an error.
"""

from tropica.tropical.matrices.assignment import Permanent, determinant, permanent
from tropica.tropical.matrices.products import identity, kleene_star, matmul, power
from tropica.tropical.matrices.spectrum import CycleMean, cycle_means, eigenvalue, eigenvectors

__all__ = [
    "CycleMean",
    "Permanent",
    "cycle_means",
    "determinant",
    "eigenvalue",
    "eigenvectors",
    "identity",
    "kleene_star",
    "matmul",
    "permanent",
    "power",
]
