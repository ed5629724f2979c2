"""Figures: artists, labels, and degenerate input."""

import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import same_color
from matplotlib.figure import Figure

import tropica as tp
from tropica.plots import active_terms, angle_distance, style


def save(axes) -> bytes:
    """Render a figure, so that invalid artists raise."""
    raw = io.BytesIO()
    np.ravel(axes)[0].figure.savefig(raw, format="png", dpi=50)
    return raw.getvalue()


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ── angle_distance ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_right_and_wrong_are_two_scatters_with_counts():
    ax = angle_distance(torch.tensor([10.0, 20.0, 95.0]), torch.tensor([1.0, 2.0, 3.0]), [True, True, False], title="CNN")
    right, wrong = ax.collections
    assert np.asarray(right.get_offsets()).tolist() == [[10, 1], [20, 2]]
    assert np.asarray(wrong.get_offsets()).tolist() == [[95, 3]]
    assert legend(ax) == ["right (2)", "wrong (1)"]
    assert same_color(np.asarray(right.get_facecolor())[0, :3].tolist(), style.BLUE)
    assert same_color(np.asarray(wrong.get_edgecolor())[0, :3].tolist(), style.VERMILION)
    assert "degrees" in ax.get_xlabel()
    assert "logit" in ax.get_ylabel()
    assert ax.get_title() == "CNN"
    assert save(ax)


def test_given_axes_are_drawn_on_and_returned():
    panels = Figure().subplots(1, 2)
    assert [angle_distance([1.0], [1.0], [True], ax=ax) for ax in panels] == list(panels)


@pytest.mark.parametrize(
    ("angles", "right", "wanted"),
    [
        ([], [], ["right (0)", "wrong (0)"]),
        ([90.0], [True], ["right (1)", "wrong (0)"]),
        ([90.0, 180.0], [False, False], ["right (0)", "wrong (2)"]),
        ([float("nan"), 90.0], [True, True], ["right (1)", "wrong (0)"]),
        ([float("nan")], [False], ["right (0)", "wrong (0)"]),
    ],
)
def test_degenerate_points(angles, right, wanted):
    ax = angle_distance(angles, [1.0] * len(angles), right)
    assert legend(ax) == wanted
    missing, box = sum(a != a for a in angles), ax.get_legend()
    assert box is not None
    assert box.get_title().get_text() == (f"{missing} not drawn (no direction)" if missing else "")
    assert save(ax)


def test_lengths_must_agree():
    with pytest.raises(tp.InputError, match="one number per point"):
        angle_distance([1.0, 2.0], [1.0], [True])


# ── active_terms ─────────────────────────────────────────────────────────────────────────────────────────────────────


def terms(rows: int, shape: tuple[int, ...], scale: float = 1.0) -> tp.AffineTerms:
    size = torch.Size(shape).numel()
    weight = scale * torch.randn(rows, size, generator=torch.Generator().manual_seed(rows))
    return tp.AffineTerms(weight, torch.zeros(rows, dtype=torch.float64), shape)


def images(rows: int, shape: tuple[int, ...], scale: float = 1.0, **more):
    points = torch.rand(rows, *shape)
    captions = [("true 1", "network: 1", "point 7", "extracted: 2")] * rows
    given = terms(rows, shape, scale)
    return active_terms(points, given, points, given, captions, [i % 2 == 0 for i in range(rows)], **more)


def test_a_row_has_images_captions_and_one_scale():
    axes = images(2, (1, 8, 8))
    assert axes.shape == (2, 4)
    assert [ax.get_xlabel() for ax in axes[0]] == ["true 1", "network: 1", "point 7", "extracted: 2"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["✓ right", "✗ wrong"]
    assert all(ax.get_title() for ax in axes[0])
    own, deciding = (axes[0, i].images[0] for i in (1, 3))
    assert own.norm.vmin == -own.norm.vmax
    assert own.norm.vmax == deciding.norm.vmax == pytest.approx(float(terms(2, (1, 8, 8)).weight[0].abs().max()))
    assert own.get_cmap().name == style.DIVERGING
    assert deciding.colorbar is not None
    assert save(axes)


def test_color_images_sum_their_coefficients():
    axes = images(1, (3, 6, 5))
    assert np.asarray(axes[0, 0].images[0].get_array()).shape == (6, 5, 3)
    drawn = np.asarray(axes[0, 1].images[0].get_array())
    np.testing.assert_allclose(drawn, terms(1, (3, 6, 5)).image().double().sum(1)[0], rtol=1e-12)
    assert save(axes)


@pytest.mark.parametrize("shape", [(1, 40), (12,), (2, 2, 2, 2)])
def test_what_is_no_image_becomes_a_line(shape):
    axes = images(1, shape)
    assert not axes[0, 1].images
    assert len(axes[0, 1].lines) == 2
    assert save(axes)


@pytest.mark.parametrize("scale", [0.0, float("nan"), 1e-300, 1e30])
def test_degenerate_coefficients(scale):
    assert save(images(1, (1, 4, 4), scale))


def test_one_pixel():
    assert save(images(1, (1, 1, 1)))


def test_given_axes():
    ax = Figure().subplots(1, 4)
    assert list(images(1, (1, 4, 4), ax=ax)[0]) == list(ax)
    with pytest.raises(tp.InputError, match=r"\(2, 4\)"):
        images(2, (1, 4, 4), ax=ax)


def test_no_rows_or_too_few_are_refused():
    with pytest.raises(tp.InputError, match="0 points"):
        images(0, (1, 4, 4))
    with pytest.raises(tp.InputError, match="1 of captions"):
        active_terms(torch.rand(2, 4), terms(2, (4,)), torch.rand(2, 4), terms(2, (4,)), [("", "", "", "")], [True, True])


def test_settings_of_matplotlib_are_left_alone():
    before = dict(mpl.rcParams)
    images(1, (1, 4, 4))
    angle_distance([1.0], [1.0], [True])
    assert dict(mpl.rcParams) == before


def test_plots_are_at_hand_without_an_import():
    assert tp.plots.active_terms is active_terms
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        tp.plot  # type: ignore[attr-defined]  # noqa: B018
