"""Figures: a function for each; every function draws on the axes given as ``ax=``, or on new ones, and returns them."""

from tropica.plots.active_terms import active_terms
from tropica.plots.angle_distance import angle_distance
from tropica.plots.boundary_superset import boundary_superset
from tropica.plots.cell import cell
from tropica.plots.coefficient_statistics import coefficient_statistics
from tropica.plots.dual_subdivision import dual_subdivision
from tropica.plots.explain import explain
from tropica.plots.graph import graph
from tropica.plots.grouped_means import grouped_means
from tropica.plots.hypersurface import curve_and_dual, hypersurface
from tropica.plots.influence import influence
from tropica.plots.label_map import label_map
from tropica.plots.label_polygons import label_polygons
from tropica.plots.layers import layers
from tropica.plots.mean_curves import Curve, mean_curves
from tropica.plots.neighborhood import neighborhood
from tropica.plots.patchworking import patchworking
from tropica.plots.persistence import persistence
from tropica.plots.regions import regions
from tropica.plots.segment import segment
from tropica.plots.surface import surface
from tropica.plots.units import units
from tropica.plots.zonotope import zonotope

__all__ = [
    "Curve",
    "active_terms",
    "angle_distance",
    "boundary_superset",
    "cell",
    "coefficient_statistics",
    "curve_and_dual",
    "dual_subdivision",
    "explain",
    "graph",
    "grouped_means",
    "hypersurface",
    "influence",
    "label_map",
    "label_polygons",
    "layers",
    "mean_curves",
    "neighborhood",
    "patchworking",
    "persistence",
    "regions",
    "segment",
    "surface",
    "units",
    "zonotope",
]
