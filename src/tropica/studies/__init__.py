"""The papers' experiments, one file each, and the demo."""

from tropica.studies.deciders import Deciders, deciders
from tropica.studies.demo import DemoResult, DemoRow, run_demo
from tropica.studies.depth_width import DepthResult, DepthRow, depth_against_width

__all__ = ["Deciders", "DemoResult", "DemoRow", "DepthResult", "DepthRow", "deciders", "depth_against_width", "run_demo"]
