"""Integrals over the cells: of the outputs, and the share of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import clip, label_functions
from tropica.regions.complex.sizes import polytope_integrals, polytope_sizes
from tropica.regions.complex.vertex_values import vertex_values
from tropica.runtime.html import HtmlRepr

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Integral(HtmlRepr):
    """A network's outputs, integrated over a domain: exact but for the rounding of sums.

        outputs_i = ∫ N_i(x) dx = Σ over simplices of cells  volume · mean of N_i at the vertices

    Attributes:
        volume: of the domain, in the units of x.
        outputs: (s,) the integral of each output.
        label_shares: (labels,) the share of the volume on which each label is predicted, as ``net.predict``; two labels where
            there is one output.
    """

    volume: float
    outputs: np.ndarray
    label_shares: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """(s,) the mean of each output."""
        return self.outputs / self.volume

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a label: its share; and, but for one output, the integral and the mean of its logit."""
        import pandas

        frame = pandas.DataFrame({"label": np.arange(len(self.label_shares)), "share": self.label_shares})
        if len(self.outputs) == len(self.label_shares):
            frame = frame.assign(integral=self.outputs, mean=self.means)
        return frame

    def __repr__(self) -> str:
        means, shares = (np.array2string(a, precision=4, threshold=8) for a in (self.means, self.label_shares))
        return f"Integral(volume {self.volume:.6g}, mean outputs {means}, label shares {shares})"


def integrate(found: Enumerated) -> Integral:
    """As :meth:`RegionComplex.integral`."""
    scale = found.domain.volume_scale
    sizes, integrals = polytope_integrals(found.polytopes, vertex_values(found))
    outputs = integrals.shape[1]
    parts = clip(found, label_functions(outputs))
    shares = np.bincount(parts.piece, polytope_sizes(parts.parts), minlength=max(2, outputs))
    return Integral(float(sizes.sum() * scale), integrals.sum(0) * scale, shares / shares.sum())
