"""Integrals over the cells: of the outputs, and the share of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import clip, label_functions
from tropica.regions.complex.sizes import polytope_moments
from tropica.runtime.html import HtmlRepr

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Integral(HtmlRepr):
    """A network's outputs, integrated over a domain: exact but for the rounding of sums.

        outputs_i = ∫ N_i(x) dx = Σ over cells  volume · N_i(centroid)

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
    sizes, moments = polytope_moments(found.polytopes)
    maps, _ = found.maps
    outputs = np.einsum("csk,ck->s", maps[:, :, :-1], moments) + np.einsum("cs,c->s", maps[:, :, -1], sizes)
    parts = clip(found, label_functions(maps.shape[1]))
    labels = max(2, maps.shape[1])
    shares = np.bincount(parts.piece, polytope_moments(parts.parts)[0], minlength=labels)
    return Integral(float(sizes.sum() * scale), outputs * scale, shares / shares.sum())
