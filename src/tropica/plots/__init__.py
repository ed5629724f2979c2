"""Figures: one function each; every one takes the axes to draw on, or makes them, and returns them."""

from tropica.plots.angle_distance import angle_distance
from tropica.plots.bars import bars
from tropica.plots.coefficients import coefficient_statistics
from tropica.plots.curves import Curve, curves
from tropica.plots.regions import regions
from tropica.plots.term_images import term_images

__all__ = ["Curve", "angle_distance", "bars", "coefficient_statistics", "curves", "regions", "term_images"]
