"""The papers' experiments, each a file in ``experiments``; their networks, training and data sets; the demo.

A name is imported when it is first used, as studies need pandas and matplotlib.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from tropica.studies.deciding import DecidingPoints, deciding_points
    from tropica.studies.demo import run_demo
    from tropica.studies.experiments.depth_width import DepthResult, depth_against_width
    from tropica.studies.registry import STUDIES
    from tropica.studies.runner import StudiesResult, StudyResult, run_studies, run_study

_MODULE_OF = {
    "STUDIES": "registry",
    "DecidingPoints": "deciding",
    "DepthResult": "experiments.depth_width",
    "StudiesResult": "runner",
    "StudyResult": "runner",
    "deciding_points": "deciding",
    "depth_against_width": "experiments.depth_width",
    "run_demo": "demo",
    "run_studies": "runner",
    "run_study": "runner",
}

__all__ = [
    "STUDIES",
    "DecidingPoints",
    "DepthResult",
    "StudiesResult",
    "StudyResult",
    "deciding_points",
    "depth_against_width",
    "run_demo",
    "run_studies",
    "run_study",
]


def __getattr__(name: str) -> _Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tropica.studies' has no attribute {name!r}")
    value = getattr(_import_module(f"tropica.studies.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
