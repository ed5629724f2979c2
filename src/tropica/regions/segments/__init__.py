"""Linear regions along a segment of the input space, for any network: breakpoints in order, exactly.

``complex`` is the entry and the result; ``plan`` reads the network, ``walk`` goes through it in float64 with error bounds
(``nonlinearities``, ``lines``, ``followed``, ``roots``, ``split``), and ``resolve`` decides the rest in exact arithmetic
(``exact``) if need be.
"""

from __future__ import annotations

from tropica.regions.segments.cells import LabelChanges, LineMap, SegmentCell, SegmentRegion
from tropica.regions.segments.complex import SegmentRegions, segment_regions

__all__ = ["LabelChanges", "LineMap", "SegmentCell", "SegmentRegion", "SegmentRegions", "segment_regions"]
