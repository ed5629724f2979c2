"""Rules that express ATen ops by affine ops and nonlinearities, by family. Importing the package registers the rules."""

from tropica.network.ops import activations, arithmetic, in_place, layout, linear, nonlinearities, resampling

__all__ = ["activations", "arithmetic", "in_place", "layout", "linear", "nonlinearities", "resampling"]
