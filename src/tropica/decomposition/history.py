"""The history of a DC decomposition: one record for each step of the computation of K."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STEPS = {
    "first step": "K required by a part of the points, layer by layer",
    "pass": "a pass over all points that raises K, or certifies it",
    "repeated extraction": "all terms were extracted again, as the check of their cotangents raised K",
    "factor": "λ*, the smallest factor of the calibrated K for all pairs of points",
    "factor program": "one factor per nonlinearity, by a linear program",
    "pair check": "the check of Theorem 3.3 between all pairs of points",
}
"""What each step is, by its name."""


@dataclass(frozen=True)
class DecompositionStep:
    """One step, with its numbers by name.

    * first step: ``least_share``, ``largest_share`` of the points that took part at any nonlinearity, and ``passes``;
    * pass: ``number``, ``raised`` units, and ``consequence``, the largest share by which K was raised at earlier nonlinearities
      in place of another pass (if it was);
    * repeated extraction: ``times``;
    * factor: ``factor`` λ*, ``points``, ``margin``;
    * factor program: ``programs``, ``pairs``, ``share`` of Σ λ_v sd(F⁻_v) of one common λ; no numbers if the programs did not
      converge and the common factor stands;
    * pair check: ``points``.

    >>> print(DecompositionStep("pass", {"number": 2, "raised": 17}))
    pass: number 2, raised 17
    """

    name: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise ValueError(f"unknown step {self.name!r}; steps are {', '.join(STEPS)}")

    def __str__(self) -> str:
        return f"{self.name}: " + (
            ", ".join(f"{name} {value:.6g}" for name, value in self.values.items()) or "did not converge"
        )

    def to_json(self) -> dict[str, Any]:
        """The step as plain JSON, for :func:`steps_from_json`."""
        return {"step": self.name, **self.values}


def steps_from_json(records: Iterable[Mapping[str, Any]]) -> Sequence[DecompositionStep]:
    """Steps from their JSON. Raises KeyError, TypeError or ValueError if the records are damaged.

    >>> step = DecompositionStep("factor", {"factor": 0.5, "points": 100, "margin": 0.01})
    >>> steps_from_json([step.to_json()]) == (step,)
    True
    """
    steps = []
    for record in records:
        values = {name: value for name, value in record.items() if name != "step"}
        if not all(isinstance(value, (int, float)) for value in values.values()):
            raise ValueError(f"a step has numbers only; found {values}")
        steps.append(DecompositionStep(str(record["step"]), values))
    return tuple(steps)
