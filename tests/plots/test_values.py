"""Curves, dots and statistics of coefficients: the artists have the given values."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection

import tropica as tp
from tropica.plots import grouped_means, mean_curves
from tropica.plots.coefficient_statistics import coefficient_statistics
from tropica.plots.mean_curves import Curve


def test_curves_are_drawn_with_their_bands():
    _, ax = plt.subplots()
    lines = {"FCN": Curve([0, 1, 2], [1.0, 2.0, 3.0], [0.5, 0.0, 0.5]), "CNN": Curve([0, 1], [4.0, float("nan")])}
    assert mean_curves(lines, xlabel="epoch", ylabel="%", title="t", ticks={0: "a", 2: "b"}, ax=ax) is ax
    assert np.array_equal(ax.lines[0].get_ydata(), [1, 2, 3])
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.lines}) == 2
    (band,) = (one for one in ax.collections if isinstance(one, PolyCollection))
    assert band.get_datalim(ax.transData).bounds == pytest.approx((0, 0.5, 2, 3.0))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("epoch", "%", "t")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["FCN", "CNN"]


def test_curves_whose_parts_do_not_fit():
    with pytest.raises(tp.InputError, match="'FCN' needs as many values as positions"):
        mean_curves({"FCN": Curve([0, 1], [1.0])}, xlabel="", ylabel="")
    with pytest.raises(tp.InputError, match="as many values"):
        mean_curves({"FCN": Curve([0, 1], [1.0, 2.0], [0.0])}, xlabel="", ylabel="")


def test_dots():
    _, ax = plt.subplots()
    series = {"paper": ([97.0, 95.0], [0.2, float("nan")]), "here": ([96.0, float("nan")], None)}
    assert grouped_means(["FCN", "CNN"], series, ylabel="%", limits=(90, None), ax=ax) is ax
    marks = [container[0] for container in ax.containers]
    assert [float(mark.get_ydata()[0]) for mark in marks] == [97.0, 96.0]
    assert marks[0].get_marker() != marks[1].get_marker()
    assert ax.get_ylim()[0] == 90
    assert abs(marks[0].get_xdata()[1] - 1) < 0.5
    assert [type(handle).__name__ for handle in ax.get_legend_handles_labels()[0]] == ["Line2D", "Line2D"]  # marks, no whiskers
    with pytest.raises(tp.InputError, match="a value for each of 2 groups"):
        grouped_means(["FCN", "CNN"], {"paper": ([1.0], None)}, ylabel="%")


def test_whiskers_and_bands_end_where_values_do():
    _, (one, other) = plt.subplots(1, 2)
    means, sds = [98.0, 3.0, 50.0], [5.0, 5.0, 5.0]
    grouped_means(["a", "b", "c"], {"x": (means, sds)}, ylabel="%", within=(0, 100), ax=one)
    ends = [segment[:, 1].tolist() for segment in one.containers[0][2][0].get_segments()]
    assert ends == [[93, 100], [0, 8], [45, 55]]
    mean_curves({"x": Curve([0, 1, 2], means, sds)}, xlabel="", ylabel="%", within=(0, 100), ax=other)
    band = other.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, 100)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 4), (1, 40), (7,)])
def test_statistics_of_coefficients(shape):
    values = torch.randn(shape)
    axes = coefficient_statistics({"mean": values, "zero": torch.zeros(shape)}, title="net")
    assert [ax.get_title() for ax in axes] == ["mean", "zero"]
    assert axes[0].get_ylabel() == "net"
    if len(shape) == 3:
        shown = axes[0].images[0].get_array()
        assert np.allclose(shown, values.sum(0).numpy())
        assert axes[0].images[0].get_clim() == pytest.approx((-np.abs(shown).max(), np.abs(shown).max()))
    else:
        assert np.allclose(axes[0].lines[-1].get_ydata(), values.flatten().numpy())
    with pytest.raises(tp.InputError, match=r"axes of shape \(1, 1\)"):
        coefficient_statistics({"mean": values}, ax=axes)
