"""The studies by name. A new study is one file in ``experiments`` with a ``STUDY``, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tropica.errors import InputError
from tropica.studies.experiments import (
    cross,
    decomposition,
    estimate,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    implications,
    leaky,
    neighbors,
    patterns,
    random,
    regions,
    share,
    shift,
    table2,
)
from tropica.studies.study import Study

IN_ORDER = (
    *(table2, regions, figure1, figure2, figure3, figure4, figure5, patterns, neighbors, leaky),
    *(share, shift, random, implications, cross, estimate, decomposition),
)
STUDIES: Mapping[str, Study] = MappingProxyType({one.STUDY.name: one.STUDY for one in IN_ORDER})
"""The studies by the name that ``tropica study`` takes, in the order of the paper.

>>> tp.studies.STUDIES["table2"].title
'Table 2: network, extracted function and truth'
"""


def find_study(name: str) -> Study:
    """Find a study by its name.

    Raises:
        InputError: no study has this name; the message lists all names.

    >>> find_study("table2").title
    'Table 2: network, extracted function and truth'
    """
    if name not in STUDIES:
        raise InputError(f"there is no study {name!r}; there are {', '.join(STUDIES)}, and all of them: all")
    return STUDIES[name]
