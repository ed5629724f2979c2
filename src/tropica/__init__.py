"""tropica: the exact linear terms and the tropical geometry of piecewise-linear PyTorch networks."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from tropica import bounds as bounds
from tropica.compare import Agreement, agreement, angles, correlation, count_regions, distances, pattern_agreement
from tropica.data import LabelledData, load_data
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
from tropica.network import AffineMap, PiecewiseLinearNetwork, load_network, trace
from tropica.regions import (
    Box,
    Estimate,
    Plane,
    RegionComplex,
    Segment,
    SegmentRegions,
    Space,
    estimate_density,
    estimate_patterns,
    estimate_regions,
    linear_regions,
    load_regions,
)
from tropica.split import ConvexSplit, split
from tropica.terms import AffineTerms, Certificate, ExtractedFunction, LinearTerms, extract, load_terms, verify_terms

if _TYPE_CHECKING:
    from tropica import plots as plots
    from tropica import polyhedra as polyhedra
    from tropica import studies as studies
    from tropica import tropical as tropical
    from tropica.tropical import (
        MinPlusPolynomial,
        TropicalMap,
        TropicalPolynomial,
        TropicalRational,
        boundary_superset,
        to_network,
        to_tropical,
        zonotopes,
    )

__version__ = _version("tropica")

_MODULES = ("plots", "polyhedra", "studies", "tropical")
_TROPICAL = (
    "MinPlusPolynomial",
    "TropicalMap",
    "TropicalPolynomial",
    "TropicalRational",
    "boundary_superset",
    "to_network",
    "to_tropical",
    "zonotopes",
)


def __getattr__(name: str) -> _Any:
    """What is imported when first used: plots and studies bring matplotlib, the others time that most programs can save."""
    if name in _MODULES:
        return _import_module(f"tropica.{name}")
    if name in _TROPICAL:
        return getattr(_import_module("tropica.tropical"), name)
    raise AttributeError(f"module 'tropica' has no attribute {name!r}")


def __dir__() -> list[str]:
    """With the names that are imported later, for whoever completes them."""
    return sorted({*globals(), *__all__, *_MODULES})


__all__ = [
    "AffineMap",
    "AffineTerms",
    "Agreement",
    "Box",
    "Certificate",
    "CertificateError",
    "ConvexSplit",
    "DataError",
    "Estimate",
    "ExtractedFunction",
    "InputError",
    "LabelledData",
    "LinearTerms",
    "MinPlusPolynomial",
    "NonFiniteWeights",
    "PiecewiseLinearNetwork",
    "Plane",
    "ProcessError",
    "RegionComplex",
    "Segment",
    "SegmentRegions",
    "Space",
    "StoreError",
    "TraceError",
    "TraceMismatch",
    "TrainingModeError",
    "TropicaError",
    "TropicalMap",
    "TropicalPolynomial",
    "TropicalRational",
    "UnsupportedOperation",
    "__version__",
    "agreement",
    "angles",
    "boundary_superset",
    "bounds",
    "correlation",
    "count_regions",
    "distances",
    "estimate_density",
    "estimate_patterns",
    "estimate_regions",
    "extract",
    "linear_regions",
    "load_data",
    "load_network",
    "load_regions",
    "load_terms",
    "pattern_agreement",
    "polyhedra",
    "split",
    "to_network",
    "to_tropical",
    "trace",
    "tropical",
    "verify_terms",
    "zonotopes",
]
