"""Exact convex geometry of lifted points: upper hulls, polytopes, zonotopes, tropical hypersurfaces and their duals."""

from tropica.polyhedra.hull import UpperHull, essential, upper_hull
from tropica.polyhedra.overlay import overlay_cells, overlay_pairs

__all__ = ["UpperHull", "essential", "overlay_cells", "overlay_pairs", "upper_hull"]
