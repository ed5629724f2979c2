"""The rows of the op table, by family. Importing this package fills the table."""

from tropica.network.ops import arithmetic, conv, direct, linear, rewrites, shape, writes
from tropica.network.ops import nonlinearities as nonlinearities

__all__ = ["arithmetic", "conv", "direct", "linear", "nonlinearities", "rewrites", "shape", "writes"]
