"""The papers' experiments, one file each, and the demo."""

from tropica.studies.all import AllResult, run_all
from tropica.studies.demo.demo import DemoResult, DemoRow, run_demo
from tropica.studies.experiments.deciders import Deciders, deciders
from tropica.studies.experiments.depth_width import DepthResult, DepthRow, depth_against_width
from tropica.studies.registry import STUDIES
from tropica.studies.runner import StudyResult, run_study

__all__ = [
    "STUDIES",
    "AllResult",
    "Deciders",
    "DemoResult",
    "DemoRow",
    "DepthResult",
    "DepthRow",
    "StudyResult",
    "deciders",
    "depth_against_width",
    "run_all",
    "run_demo",
    "run_study",
]
