"""Figures: one function each; every one takes the axes to draw on, or makes them, and returns them."""

from tropica.plots.angle_distance import angle_distance
from tropica.plots.coefficients import coefficient_statistics
from tropica.plots.curves import Curve, curves
from tropica.plots.dots import dots
from tropica.plots.regions import regions
from tropica.plots.term_images import term_images

__all__ = ["Curve", "angle_distance", "coefficient_statistics", "curves", "dots", "regions", "term_images"]
