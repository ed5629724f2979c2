"""Polytopes of the input space that are taken apart, and all of it."""
