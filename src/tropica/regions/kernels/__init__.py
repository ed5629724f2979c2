"""Compiled kernels of the region engine (numba): pure loops over arrays."""
