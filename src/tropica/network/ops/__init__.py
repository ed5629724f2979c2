"""Rules that express ATen ops by affine ops and nonlinearities, by family. Importing the package registers the rules."""

from tropica.network.ops import (
    activations,
    arithmetic,
    fourier,
    in_place,
    indexing,
    layout,
    linear,
    nonlinearities,
    norms,
    resampling,
    sorting,
)

__all__ = [
    "activations",
    "arithmetic",
    "fourier",
    "in_place",
    "indexing",
    "layout",
    "linear",
    "nonlinearities",
    "norms",
    "resampling",
    "sorting",
]
