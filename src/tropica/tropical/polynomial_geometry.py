"""The polytopes and complexes of a polynomial, of either convention."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropica.polyhedra.conventions import Convention
from tropica.polyhedra.dual_complexes import PolyhedralComplex, Subdivision, dual_subdivision, hypersurface
from tropica.polyhedra.polytope import Polytope


class PolynomialGeometry:
    """A mixin: what the exponents, coefficients and the convention of a polynomial define."""

    exponents: Any
    coefficients: Any
    convention: Any

    def newton_polytope(self) -> Polytope:
        """Δ(f) = Conv{α_k}."""
        return Polytope(self.exponents)

    def polytope(self) -> Polytope:
        """P(f) = Conv{(α_k, c_k)}, in d + 1 dimensions."""
        return Polytope(np.concatenate([self.exponents.astype(object), self.coefficients.astype(object)[:, None]], 1))

    def dual_subdivision(self) -> Subdivision:
        """δ(f): the Newton polytope, subdivided by the projections of the upper (in min-plus: lower) faces of P(f)."""
        return dual_subdivision(self.exponents, self.coefficients, convention=self._word)

    def hypersurface(self) -> PolyhedralComplex:
        """T(f): the points where the maximum, in min-plus the minimum, is attained at least twice."""
        return hypersurface(self.exponents, self.coefficients, convention=self._word)

    @property
    def _word(self) -> Convention:
        return self.convention
