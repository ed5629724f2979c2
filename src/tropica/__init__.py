"""tropica: the exact linear terms and the tropical geometry of piecewise-linear PyTorch networks.

Every public name is listed here, with the module that defines it. A name is imported when it is first used.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from tropica import bounds, plots, polyhedra, studies, tropical
    from tropica.compare.agreement import Agreement, agreement
    from tropica.compare.dead_units import DeadUnits, dead_units
    from tropica.compare.explain import explain
    from tropica.compare.explanation import Explanation
    from tropica.compare.follow import Follower, follow
    from tropica.compare.influence import Influence, influence
    from tropica.compare.layerwise import Layerwise, layerwise
    from tropica.compare.models import ModelComparison, compare_models
    from tropica.compare.nearest import NearestNeighbors, nearest_neighbors
    from tropica.compare.patterns import count_patterns, count_terms, pattern_agreement
    from tropica.compare.regression import RegressionAgreement, regression_agreement
    from tropica.compare.similarity import angles, correlation, distances
    from tropica.data.keyed import KeyedData
    from tropica.data.labelled import LabelledData
    from tropica.decomposition.dc_decomposition import DCDecomposition
    from tropica.decomposition.decompose import decompose
    from tropica.decomposition.extract import extract
    from tropica.decomposition.load import load_decomposition
    from tropica.decomposition.local_terms import local_terms
    from tropica.decomposition.pairwise_check import pairwise_excess
    from tropica.decomposition.prepare import inner_points
    from tropica.errors import (
        CertificateError,
        DataError,
        InputError,
        NonFiniteWeights,
        ProcessError,
        StoreError,
        TraceError,
        TraceMismatch,
        TrainingModeError,
        TropicaError,
        UnsupportedOperation,
    )
    from tropica.evaluation.function import ExtractedFunction
    from tropica.evaluation.top_terms import TopTerms
    from tropica.network.network import AffineMap, PiecewiseLinearNetwork
    from tropica.network.readers.dense import from_layers
    from tropica.network.readers.load import load_network
    from tropica.network.readers.scikit_learn import from_sklearn
    from tropica.network.trace import trace
    from tropica.polyhedra.arrangements import arrangement
    from tropica.queries.attributions import Attributions, integrated_gradients
    from tropica.queries.cell import Cell, cell
    from tropica.queries.output_range import OutputRange, output_range
    from tropica.queries.properties import Property, load_property
    from tropica.queries.robust import RobustRadius, robust_radius
    from tropica.queries.subtract import subtract
    from tropica.queries.verify import Verdict, check_verdict, verify
    from tropica.queries.walk import Walk, walk_cells
    from tropica.regions.complex.region_complex import RegionComplex
    from tropica.regions.domains.constructors import (
        Ball,
        Box,
        Plane,
        Polygon,
        Polytope,
        Segment,
        Simplex,
        Slice,
        Space,
        Triangle,
    )
    from tropica.regions.domains.domain import Domain
    from tropica.regions.engine.cell_blocks import CellBlock
    from tropica.regions.estimates import Estimate, estimate_density, estimate_patterns, estimate_regions
    from tropica.regions.linear_regions import linear_regions
    from tropica.regions.load import load_regions
    from tropica.regions.streams import CellCount, count_cells, iter_cells
    from tropica.regions.topology.persistence import CriticalPoints, PersistenceDiagram, critical_points, persistence
    from tropica.studies.datasets.load import load_data
    from tropica.terms.certificate import Certificate
    from tropica.terms.linear_terms import AffineTerms, LinearTerms
    from tropica.terms.store.load import check_terms, load_terms
    from tropica.tropical.boundary_superset import boundary_superset
    from tropica.tropical.from_network import to_tropical
    from tropica.tropical.intersections import prevariety, stable_intersection
    from tropica.tropical.mixed_volume import mixed_volume
    from tropica.tropical.parsing import parse_tropical
    from tropica.tropical.polynomial import MinPlusPolynomial, TropicalPolynomial, TropicalRational
    from tropica.tropical.rational_map import TropicalMap
    from tropica.tropical.sums import tropical_prod, tropical_sum
    from tropica.tropical.to_network import to_network
    from tropica.tropical.zonotopes import zonotopes

_PACKAGES = ("bounds", "plots", "polyhedra", "studies", "tropical")
_NAMES = {
    "compare.agreement": ("Agreement", "agreement"),
    "compare.dead_units": ("DeadUnits", "dead_units"),
    "compare.explain": ("explain",),
    "compare.explanation": ("Explanation",),
    "compare.follow": ("Follower", "follow"),
    "compare.influence": ("Influence", "influence"),
    "compare.layerwise": ("Layerwise", "layerwise"),
    "compare.models": ("ModelComparison", "compare_models"),
    "compare.nearest": ("NearestNeighbors", "nearest_neighbors"),
    "compare.patterns": ("count_patterns", "count_terms", "pattern_agreement"),
    "compare.regression": ("RegressionAgreement", "regression_agreement"),
    "compare.similarity": ("angles", "correlation", "distances"),
    "data.keyed": ("KeyedData",),
    "data.labelled": ("LabelledData",),
    "decomposition.dc_decomposition": ("DCDecomposition",),
    "decomposition.decompose": ("decompose",),
    "decomposition.extract": ("extract",),
    "decomposition.load": ("load_decomposition",),
    "decomposition.local_terms": ("local_terms",),
    "decomposition.pairwise_check": ("pairwise_excess",),
    "decomposition.prepare": ("inner_points",),
    "errors": (
        "CertificateError",
        "DataError",
        "InputError",
        "NonFiniteWeights",
        "ProcessError",
        "StoreError",
        "TraceError",
        "TraceMismatch",
        "TrainingModeError",
        "TropicaError",
        "UnsupportedOperation",
    ),
    "evaluation.function": ("ExtractedFunction",),
    "evaluation.top_terms": ("TopTerms",),
    "network.network": ("AffineMap", "PiecewiseLinearNetwork"),
    "network.readers.dense": ("from_layers",),
    "network.readers.load": ("load_network",),
    "network.readers.scikit_learn": ("from_sklearn",),
    "network.trace": ("trace",),
    "polyhedra.arrangements": ("arrangement",),
    "queries.attributions": ("Attributions", "integrated_gradients"),
    "queries.cell": ("Cell", "cell"),
    "queries.output_range": ("OutputRange", "output_range"),
    "queries.properties": ("Property", "load_property"),
    "queries.robust": ("RobustRadius", "robust_radius"),
    "queries.subtract": ("subtract",),
    "queries.verify": ("Verdict", "check_verdict", "verify"),
    "queries.walk": ("Walk", "walk_cells"),
    "regions.load": ("load_regions",),
    "regions.complex.region_complex": ("RegionComplex",),
    "regions.domains.domain": ("Domain",),
    "regions.domains.constructors": (
        "Ball",
        "Box",
        "Plane",
        "Polygon",
        "Polytope",
        "Segment",
        "Simplex",
        "Slice",
        "Space",
        "Triangle",
    ),
    "regions.engine.cell_blocks": ("CellBlock",),
    "regions.streams": ("CellCount", "count_cells", "iter_cells"),
    "regions.topology.persistence": ("CriticalPoints", "PersistenceDiagram", "critical_points", "persistence"),
    "regions.estimates": ("Estimate", "estimate_density", "estimate_patterns", "estimate_regions"),
    "regions.linear_regions": ("linear_regions",),
    "studies.datasets.load": ("load_data",),
    "terms.certificate": ("Certificate",),
    "terms.linear_terms": ("AffineTerms", "LinearTerms"),
    "terms.store.load": ("check_terms", "load_terms"),
    "tropical.boundary_superset": ("boundary_superset",),
    "tropical.from_network": ("to_tropical",),
    "tropical.intersections": ("prevariety", "stable_intersection"),
    "tropical.mixed_volume": ("mixed_volume",),
    "tropical.parsing": ("parse_tropical",),
    "tropical.polynomial": ("MinPlusPolynomial", "TropicalPolynomial", "TropicalRational"),
    "tropical.rational_map": ("TropicalMap",),
    "tropical.sums": ("tropical_prod", "tropical_sum"),
    "tropical.to_network": ("to_network",),
    "tropical.zonotopes": ("zonotopes",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted((*_PACKAGES, *_MODULE_OF, "__version__"))  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> _Any:
    """Import a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tropica")
    if name in _PACKAGES:
        return _import_module(f"tropica.{name}")
    if name in _MODULE_OF:
        value = getattr(_import_module(f"tropica.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'tropica' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
