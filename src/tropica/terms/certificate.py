"""The certificate of Theorem 3.3 that comes with extracted terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tropica.runtime.html import html_table


@dataclass(frozen=True, repr=False)
class Certificate:
    """The results of checking Theorem 3.3 on a set of terms.

    Attributes:
        smallest_cotangent: the smallest cotangent of F⁻ and F⁺_i at any nonlinearity for any point, divided by the largest one
            at that nonlinearity. If it is ≥ 0, up to rounding, a_k(x) ≤ F(x) holds for all x, hence Theorem 3.3. None if
            cotangents were not checked.
        largest_violation: the largest of max_j a_j(x_k) − a_k(x_k) over both a⁺ and a⁻, evaluated in float64 on the terms: the
            largest excess of another point's term over a point's own term at the point. 0 if Theorem 3.3 holds exactly.
        tolerance: the violation that rounding in the extraction's dtype can cause (100 units in the last place of the largest
            term).
        labels_kept: the share of the checked points at which the extracted function gives N's label.
        labels_tied: the number of points whose label differs, but whose two labels are tied in N up to rounding in the dtype.
        points, terms: points × terms is the number of pairs that were checked.
        complete: were all pairs checked?
        dtype: the dtype of the extraction.
        pairwise: is this the certificate of a minimal decomposition? Cotangents may then be negative, so that a_k(x) ≤ F(x)
            need not hold for all x; certified is Theorem 3.3 between the pairs of data points that were checked.
    """

    smallest_cotangent: float | None
    largest_violation: float
    tolerance: float
    labels_kept: float
    labels_tied: int
    points: int
    terms: int
    complete: bool
    dtype: str
    pairwise: bool = False

    COTANGENT_ROUNDING: ClassVar = {"float32": 1e-5, "float64": 1e-12}

    @classmethod
    def unchecked(cls, dtype: str, smallest_cotangent: float | None = None) -> Certificate:
        """The certificate of terms whose pairs were not checked.

        >>> print(Certificate.unchecked("float32"))
        certificate not checked
        """
        return cls(smallest_cotangent, 0.0, 0.0, 1.0, 0, 0, 0, False, dtype)

    @property
    def labels_changed(self) -> int:
        """The number of checked points at which the extracted function gives another label than N."""
        return round((1 - self.labels_kept) * self.points)

    @property
    def holds(self) -> bool:
        """Do all checks hold, up to the stated rounding?"""
        return not self.failures()

    def failures(self) -> list[str]:
        """A line for each check that fails, or a single line if nothing was checked."""
        if self.smallest_cotangent is None and not self.points:
            return ["nothing was checked"]
        found: list[str] = []
        allowed = self.COTANGENT_ROUNDING[self.dtype]
        if self.smallest_cotangent is not None and not self.smallest_cotangent >= -allowed:
            found.append(f"a cotangent is negative ({self.smallest_cotangent:.3g} of the largest at its nonlinearity)")
        if not self.largest_violation <= self.tolerance:
            found.append(
                f"some term exceeds a point's own term at the point by {self.largest_violation:.3g} "
                f"(rounding allows {self.tolerance:.3g})"
            )
        lost = self.labels_changed - self.labels_tied
        if lost > 0:
            found.append(f"{lost} of {self.points} checked points do not keep their label")
        return found

    def __str__(self) -> str:
        if self.failures() == ["nothing was checked"]:
            return "certificate not checked"
        state = "holds" if self.holds else "FAILS: " + "; ".join(self.failures())
        return f"certificate {state}; " + ", ".join(f"{name} {value}" for name, value in self._facts().items())

    def __repr__(self) -> str:
        return f"<{self}>"

    def _facts(self) -> dict[str, str]:
        smallest = "not checked" if self.smallest_cotangent is None else f"{self.smallest_cotangent:.2g}"
        proof = {"proof": "of pairs of data points only"} if self.pairwise else {"smallest cotangent": smallest}
        return {
            **proof,
            "largest violation": f"{self.largest_violation:.2g} (tolerance {self.tolerance:.2g})",
            "labels kept": f"{self.labels_kept:.4%}",
            "pairs": f"{self.points:,} points × {self.terms:,} terms{'' if self.complete else ' (a sample)'}",
            "dtype": self.dtype,
        }

    def _repr_html_(self) -> str:
        state = "holds" if self.holds else "; ".join(self.failures())
        return html_table("Certificate of Theorem 3.3", {"state": state, **self._facts()})


def smaller(one: float, other: float) -> float:
    """The smaller of two numbers; NaN if either is NaN (``min`` may lose NaN)."""
    return math.nan if math.isnan(one) or math.isnan(other) else min(one, other)
