"""Exact convex geometry of lifted points: upper hulls, polytopes, zonotopes, tropical hypersurfaces and their duals."""

from tropica.polyhedra.arrangements import Arrangement, arrangement
from tropica.polyhedra.dual_complexes import Face, PolyhedralComplex, Subdivision, dual_subdivision, hypersurface
from tropica.polyhedra.envelope import Envelope, upper_envelope
from tropica.polyhedra.hoffman import HoffmanConstant, hoffman_constant, region_system
from tropica.polyhedra.overlay import MixedCell, mixed_cells, overlay_cells, overlay_pairs
from tropica.polyhedra.polytope import Polytope, hull_of_union, minkowski_sum
from tropica.polyhedra.upper_hull import UpperHull, essential, upper_hull
from tropica.polyhedra.zonotope import Zonotope

__all__ = [
    "Arrangement",
    "Envelope",
    "Face",
    "HoffmanConstant",
    "MixedCell",
    "PolyhedralComplex",
    "Polytope",
    "Subdivision",
    "UpperHull",
    "Zonotope",
    "arrangement",
    "dual_subdivision",
    "essential",
    "hoffman_constant",
    "hull_of_union",
    "hypersurface",
    "minkowski_sum",
    "mixed_cells",
    "overlay_cells",
    "overlay_pairs",
    "region_system",
    "upper_envelope",
    "upper_hull",
]
