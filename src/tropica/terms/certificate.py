"""The certificate of Theorem 3.3 that comes with extracted terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from tropica.runtime.html import html_table

Precision = Literal["float32", "float64", "double-double"]
"""The arithmetic that terms are computed in. "double-double" is F⁻ in pairs of float64, with 32 decimal digits."""
UNITS: dict[str, float] = {"float32": 2.0**-23, "float64": 2.0**-52, "double-double": 2.0**-98}
"""The relative rounding error of the terms, by precision."""
LEAST_DIGITS = 3.0
"""The digits of f(x) without which no certificate holds: the tolerance is then below 1/2000 of the spread of N."""
PLAIN = 100
"""A violation of this multiple of the tolerance is not due to rounding."""
MOST_DIGITS = 15.0
"""f(x) is a float64 number."""


@dataclass(frozen=True, repr=False)
class Certificate:
    """The results of checking Theorem 3.3 on a set of terms.

    It holds if no cotangent is negative, no term exceeds a point's own term at the point by more than the tolerance, the
    tolerance is small against N (three or more digits of f(x) are left), and N^(X) gives every checked point the label of N,
    except where the margin of N itself is below the rounding error of N.

    Attributes:
        smallest_cotangent: the smallest cotangent of F⁻ and F⁺_i at any nonlinearity for any point, divided by the largest one
            at that nonlinearity. If it is ≥ 0, up to rounding, a_k(x) ≤ F(x) holds for all x, hence Theorem 3.3. None if
            cotangents were not checked.
        largest_violation: the largest of max_j a_j(x_k) − a_k(x_k) over both a⁺ and a⁻, evaluated on the terms in float64, or
            in double-double arithmetic: the largest excess of another point's term over a point's own term at the point. 0 if
            Theorem 3.3 holds exactly.
        tolerance: the error that rounding can cause in the value of a term at a point of the data: the unit of the precision
            times the largest ‖∇F⁺‖·(diameter of the data + ‖x_k‖) + |F⁻(x_k)|, and the rounding of the evaluation.
        labels_kept: the share of the checked points at which the extracted function gives N's label.
        labels_tied: the number of points whose label differs, but whose margin in N is below the rounding error of N.
        points, terms: points × terms is the number of pairs that were checked.
        complete: were all pairs checked?
        dtype: the dtype of the extraction.
        pairwise: is this the certificate of a minimal decomposition? Cotangents may then be negative, so that a_k(x) ≤ F(x)
            need not hold for all x; certified is Theorem 3.3 between the pairs of data points that were checked, at each point
            for the label that N gives it.
        scale: the spread of N on the data that ``digits`` refer to: 1.48 times the median absolute deviation of the two largest
            scores of the points, between 1/30 of their standard deviation and all of it (the largest score if they are equal).
        storage_error: the part of the tolerance that comes from storing coefficients in a coarser dtype. It is not excused:
            terms in bfloat16 hardly ever leave three digits of f(x), and their certificate then fails.
        precision: "float32", "float64" or "double-double", the arithmetic of the terms.
        steps: what was tried before, and why it was not enough.
        num_targets: in regression the number of outputs. Theorem 3.3 then holds for each of them, no labels are compared, and
            ``scale`` is the smallest spread of an output that is not constant. 0 in classification.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> certificate = tp.extract(net, x).certificate
    >>> certificate.holds, certificate.complete, certificate.labels_kept
    (True, True, 1.0)
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
    scale: float = 0.0
    storage_error: float = 0.0
    precision: str = ""
    steps: tuple[str, ...] = ()
    num_targets: int = 0

    COTANGENT_ROUNDING: ClassVar = {"float32": 1e-5, "float64": 1e-12}

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", self.precision or self.dtype)
        object.__setattr__(self, "steps", tuple(self.steps))

    @classmethod
    def unchecked(
        cls,
        dtype: str,
        smallest_cotangent: float | None = None,
        *,
        precision: str = "",
        tolerance: float = 0.0,
        scale: float = 0.0,
        steps: Sequence[str] = (),
        num_targets: int = 0,
    ) -> Certificate:
        """The certificate of terms whose pairs were not checked; ``tolerance`` and ``scale`` are those of some of the points.

        >>> print(Certificate.unchecked("float32"))
        certificate not checked
        """
        known = {"precision": precision, "scale": scale, "steps": tuple(steps), "num_targets": num_targets}
        return cls(smallest_cotangent, 0.0, tolerance, 1.0, 0, 0, 0, False, dtype, **known)

    @property
    def digits(self) -> float | None:
        """The decimal digits of f(x) = N^(X)(x) that are left: −log₁₀(2 · tolerance / scale), from 0 to 15; None if unchecked.

        Twice, as f is a difference of two maxima. The error of f(x) against N^(X) of the same K in exact arithmetic is mostly
        ten times smaller than this bound.
        """
        return digits_of(self.tolerance, self.scale) if self.points or self.scale else None

    def to_dict(self) -> dict[str, Any]:
        """All fields, with ``holds`` and ``digits``."""
        return {**asdict(self), "steps": list(self.steps), "holds": self.holds, "digits": self.digits}

    @property
    def labels_changed(self) -> int:
        """The number of checked points at which the extracted function gives another label than N."""
        return round((1 - self.labels_kept) * self.points)

    @property
    def holds(self) -> bool:
        """Do all checks hold, up to the stated rounding?"""
        return not self.failures()

    @property
    def is_rounding(self) -> bool:
        """Does the certificate fail by what rounding alone may have caused, so that a finer precision may mend it?"""
        if self.holds or not self.points or self.storage_alone_fails:
            return False
        if self.smallest_cotangent is not None and not self.smallest_cotangent >= -self.COTANGENT_ROUNDING[self.dtype]:
            return False
        return not self.largest_violation > PLAIN * self.tolerance

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
        if (self.points or self.scale) and not digits_of(self.tolerance, self.scale) >= LEAST_DIGITS:
            found.append(self._too_few_digits())
        lost = self.labels_changed - self.labels_tied
        if lost > 0:
            found.append(f"{lost} of {self.points} checked points do not keep their label")
        return found

    @property
    def storage_alone_fails(self) -> bool:
        """Do the terms as computed leave enough digits, and the terms as stored in a coarser dtype too few?"""
        return bool(self.storage_error) and digits_of(self.tolerance - self.storage_error, self.scale) >= LEAST_DIGITS

    def _too_few_digits(self) -> str:
        what = "storing in a coarser dtype" if self.storage_alone_fails else f"rounding in {self.precision}"
        left = digits_of(self.tolerance, self.scale)
        return f"{what} leaves {left:.1f} digits of f(x): an error of {self.tolerance:.3g}, where N varies by {self.scale:.3g}"

    def __str__(self) -> str:
        if self.failures() == ["nothing was checked"]:
            return "certificate not checked"
        state = "holds" if self.holds else "FAILS: " + "; ".join(self.failures())
        return f"certificate {state}; " + ", ".join(f"{name} {value}" for name, value in self._facts().items())

    def __repr__(self) -> str:
        return f"<{self}>"

    def _facts(self) -> dict[str, str]:
        outputs = ", every output" if self.num_targets else ""
        smallest = "not checked" if self.smallest_cotangent is None else f"{self.smallest_cotangent:.2g}"
        proof = {"proof": "of pairs of data points only"} if self.pairwise else {"smallest cotangent": smallest}
        return {
            **proof,
            "digits of f(x)": "unknown" if self.digits is None else f"{self.digits:.1f}",
            "largest violation": f"{self.largest_violation:.2g} (tolerance {self.tolerance:.2g})",
            **({} if self.num_targets else {"labels kept": f"{self.labels_kept:.4%}"}),
            "pairs": f"{self.points:,} points × {self.terms:,} terms{'' if self.complete else ' (a sample)'}{outputs}",
            "precision": self.precision,
            **({"before": "; ".join(self.steps)} if self.steps else {}),
        }

    def _repr_html_(self) -> str:
        state = "holds" if self.holds else "; ".join(self.failures())
        return html_table("Certificate of Theorem 3.3", {"state": state, **self._facts()})


def digits_of(tolerance: float, scale: float) -> float:
    """The decimal digits that an error of twice the tolerance leaves of numbers of this scale, from 0 to 15.

    >>> digits_of(0.5e-4, 1.0)
    4.0
    """
    if tolerance == 0:
        return MOST_DIGITS
    if not (math.isfinite(tolerance) and math.isfinite(scale) and scale > 0 and tolerance > 0):
        return 0.0
    return min(max(math.log10(scale) - math.log10(2 * tolerance), 0.0), MOST_DIGITS)


def smaller(one: float, other: float) -> float:
    """The smaller of two numbers; NaN if either is NaN (``min`` may lose NaN)."""
    return math.nan if math.isnan(one) or math.isnan(other) else min(one, other)
