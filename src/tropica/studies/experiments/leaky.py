"""Appendix E.3: Table 2 with leaky ReLU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tropica.studies.experiments import table2

STUDY = replace(
    table2.STUDY,
    name="leaky",
    title="Appendix E.3: Table 2 with leaky ReLU",
    question="The networks of Table 2 with LeakyReLU(0.3) in place of ReLU, trained and measured in the same way.",
    paper="The observations with leaky ReLU are in line with those for ReLU. (The appendix with the numbers is not available; "
    "Table 2, below, is that of ReLU.)",
    figures=partial(table2.figures, name="leaky"),
    activation="leaky",
    needs="networks with another activation, which it trains",
)
