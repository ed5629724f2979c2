"""The names of the studies, with a line for each: the command line's help lists them without pandas and matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STUDY_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "table2": "agreement of network, extracted function and truth (Table 2)",
        "regions": "how many linear regions contain data",
        "figure1": "a network on the plane before and after extraction (Figure 1)",
        "figure2": "angles and distances of coefficients (Figure 2)",
        "figure3": "from the network to its extracted function, layer by layer (Figure 3)",
        "figure4": "extraction after each epoch of a training (Figure 4)",
        "figure5": "coefficients of two networks trained alike (Figure 5)",
        "patterns": "activation patterns of points and their deciding points (appendix E.5)",
        "neighbors": "deciding images, and statistics of coefficients (appendices E.2, E.7)",
        "leaky": "Table 2 with leaky ReLU (appendix E.3)",
        "share": "N^(X) from a share of the terms",
        "shift": "shifted images, and shifted copies of the terms",
        "random": "random inputs in place of the data",
        "implications": "where one is right, is the other?",
        "cross": "values of N^(X) from one training point or from two",
        "estimate": "an estimate of the number of regions in practice (appendix E.8)",
        "decomposition": "how N^(X) depends on the decomposition",
    }
)
"""The studies in the order of the paper."""
