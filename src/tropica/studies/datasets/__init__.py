"""Data sets of the studies: embedded, generated, and from openml.org."""
