"""Appendix E.3: Table 2 with leaky ReLU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from matplotlib.figure import Figure

from tropica.studies.experiments import table2
from tropica.studies.study import Results


def figures(results: Results) -> Mapping[str, Figure]:
    """The figure of Table 2 under this study's name."""
    return {"leaky": table2.figures(results)["table2"]}


STUDY = replace(
    table2.STUDY,
    name="leaky",
    title="Appendix E.3: Table 2 with leaky ReLU",
    question="The networks of Table 2 with LeakyReLU(0.3) in place of ReLU, trained and measured in the same way.",
    paper="The observations with leaky ReLU are in line with those for ReLU. (The appendix with the numbers is not at hand; "
    "Table 2, below, is that of ReLU.)",
    figures=figures,
    activation="leaky",
)
