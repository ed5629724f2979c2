"""The data sets of the studies: embedded, generated, and from openml.org."""
