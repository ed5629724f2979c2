"""The rules that write ATen ops as affine ops and nonlinearities, by family. Importing the package registers them."""

from tropica.network.ops import activations, arithmetic, in_place, layout, linear, nonlinearities, resampling

__all__ = ["activations", "arithmetic", "in_place", "layout", "linear", "nonlinearities", "resampling"]
