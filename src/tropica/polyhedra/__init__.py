"""Exact convex geometry of lifted points: upper hulls, polytopes, zonotopes, tropical hypersurfaces and their duals."""

from tropica.polyhedra.hull import essential

__all__ = ["essential"]
