"""Rules that express ONNX ops by affine ops and nonlinearities, by family. Importing the package registers the rules."""

from tropica.network.readers.onnx_ops import activations, arithmetic, heads, layout, linear, padding, pooling, resizing

__all__ = ["activations", "arithmetic", "heads", "layout", "linear", "padding", "pooling", "resizing"]
