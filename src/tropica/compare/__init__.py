"""Similarity of networks, extracted functions and terms."""

from tropica.compare.agreement import Agreement, agreement
from tropica.compare.counts import count_regions
from tropica.compare.patterns import pattern_agreement
from tropica.compare.similarity import angles, correlation, distances

__all__ = ["Agreement", "agreement", "angles", "correlation", "count_regions", "distances", "pattern_agreement"]
