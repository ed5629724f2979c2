"""What notebooks show of results: never a failure, a picture where there is one, and nothing long."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import pytest
import torch

import tropica as tp
from tropica.runtime.html import HtmlRepr, TableRepr, coefficient_pictures, short_text

ARGUMENTS = {"Conv", "ConvNet", "Curve"}
"""Public classes that are made by the caller, with the plain ``repr`` of a dataclass."""


def test_every_public_result_shows_itself() -> None:
    """Public classes but errors, warnings and torch modules, which show themselves in their own way."""
    packages = [tp, tp.bounds, tp.plots, tp.polyhedra, tp.studies, tp.tropical]
    names = {(package.__name__, name) for package in packages for name in package.__all__}
    for package, name in sorted(names):
        value = attrgetter(name)(__import__(package, fromlist=[name]))
        if inspect.isclass(value) and not issubclass(value, (Exception, torch.nn.Module)) and name not in ARGUMENTS:
            assert hasattr(value, "_repr_html_"), f"{package}.{name}"


def test_fields_of_a_dataclass_are_a_table() -> None:
    @dataclass(frozen=True, repr=False)
    class Found(HtmlRepr):
        point: np.ndarray
        table: np.ndarray
        norm: str
        _hidden: int = 0

        def __repr__(self) -> str:
            return "<Found>"

    html = Found(np.array([1.0, 2.0]), np.zeros((9, 9)), "l2 < linf")._repr_html_()
    assert "<code>&lt;Found&gt;</code>" in html
    assert "[1.0, 2.0]" in html
    assert "float64, shape (9, 9)" in html
    assert "l2 &lt; linf" in html
    assert "hidden" not in html
    assert len(short_text("x" * 1000)) == 120
    assert short_text(object()) == ""


def test_rows() -> None:
    import pandas as pd

    class Rows(TableRepr):
        def to_dataframe(self) -> pd.DataFrame:
            return pd.DataFrame({"a": range(25)})

    assert Rows()._repr_html_().count("<tr>") == 10
    assert "15 more rows" in Rows()._repr_html_()


@pytest.mark.parametrize(("shape", "count"), [((3, 2, 2), 8), ((4, 4), 8), ((16,), 0), ((1, 1, 16), 0)])
def test_coefficients_are_pictures(shape: tuple[int, ...], count: int) -> None:
    weight = torch.randn(9, int(torch.Size(shape).numel()))
    weight[0] = 0
    weight[1, 0] = torch.nan
    assert coefficient_pictures(weight, shape).count("<img") == count
    assert coefficient_pictures(weight[:0], shape) == ""


def test_complexes_are_thumbnails_with_counts() -> None:
    net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    html = cx._repr_html_()
    assert html.count("Z") == 4  # a polygon for each cell
    assert "<th>linear regions</th><td>4</td>" in html
    assert "<svg" not in tp.linear_regions(net, tp.Space(2))._repr_html_()
    line = tp.linear_regions(net, tp.Segment([-1.0, -1.0], [1.0, 0.5]))
    assert line._repr_html_().count("M") == 2 * len(line.cells)  # a piece for each cell and output
    assert "pieces" in cx.boundary()._repr_html_()
    (block,) = tp.iter_cells(net, tp.Box(-1, 1, d=2), arrays=["volumes"])
    assert repr(block) == "CellBlock(4 cells: volumes)"
    assert "relu0" in net.nonlinearities._repr_html_()
    assert net.nonlinearities.to_dataframe()["units"].tolist() == [2]
