"""Figures: one function each; every one takes the axes to draw on, or makes them, and returns them."""

from tropica.plots.angle_distance import angle_distance
from tropica.plots.boundary_superset import boundary_superset
from tropica.plots.coefficients import coefficient_statistics
from tropica.plots.curves import Curve, curves
from tropica.plots.dots import dots
from tropica.plots.dual_subdivision import dual_subdivision
from tropica.plots.hypersurface import curve_and_dual, hypersurface
from tropica.plots.plane import label_map
from tropica.plots.regions import regions
from tropica.plots.term_images import term_images
from tropica.plots.zonotope import zonotope

__all__ = [
    "Curve",
    "angle_distance",
    "boundary_superset",
    "coefficient_statistics",
    "curve_and_dual",
    "curves",
    "dots",
    "dual_subdivision",
    "hypersurface",
    "label_map",
    "regions",
    "term_images",
    "zonotope",
]
