"""Small HTML for notebooks."""

from __future__ import annotations

import base64
import dataclasses
import io
import reprlib
from collections.abc import Mapping, Sequence
from html import escape
from numbers import Rational
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 10
"""Rows of a table that a notebook shows."""
MOST_PICTURES = 8
MOST_CHARACTERS = 120
FEW = 4
"""Numbers of a short list that are shown one by one."""


def html_table(title: str, facts: Mapping[str, object]) -> str:
    """A table with a row for each fact. ``title`` is HTML; names and values are text.

    >>> html_table("Terms", {"points": "a < b"})
    '<table><caption>Terms</caption><tr><th>points</th><td>a &lt; b</td></tr></table>'
    """
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
    return f"<table><caption>{title}</caption>{rows}</table>"


def picture(x: Tensor, height: int = 48) -> str:
    """An image (C, H, W) or (H, W) with values in [0, 1] as HTML, 48 pixels high; "" for points of other shapes.

    >>> import torch
    >>> picture(torch.rand(1, 8, 8))[:21], picture(torch.rand(5))
    ('<img height="48" src=', '')
    """
    if x.ndim == 3 and x.shape[0] == 1:
        x = x[0]
    if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[0] != 3) or min(x.shape[-2:]) < 2:
        return ""
    numbers = (x.detach().double().clamp(0, 1) * 255).round().byte().cpu()
    from PIL import Image

    array = numbers.numpy() if x.ndim == 2 else numbers.permute(1, 2, 0).contiguous().numpy()
    content = io.BytesIO()
    Image.fromarray(255 - array if x.ndim == 2 else array).save(content, format="png")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
    return f'<img height="{height}" src="{source}" style="image-rendering:pixelated;margin:1px">'


def coefficient_pictures(weight: Tensor, shape: Sequence[int]) -> str:
    """The first coefficients (D, d) as images: red is positive, blue negative, on one scale; "" where ``shape`` is no image.

    >>> import torch
    >>> coefficient_pictures(torch.randn(20, 64), (1, 8, 8)).count("<img"), coefficient_pictures(torch.randn(20, 64), (64,))
    (8, '')
    """
    if not len(weight) or len(shape) not in (2, 3):
        return ""
    shown = weight[:MOST_PICTURES].detach().double().cpu().reshape(-1, *shape)
    shown = shown.mean(1) if shown.ndim == 4 else shown
    scaled = (shown / shown.abs().max().clamp_min(1e-300)).nan_to_num()[:, None]
    pale = 1 - scaled.abs()
    colors = torch.cat([torch.where(scaled > 0, 1.0, pale), pale, torch.where(scaled < 0, 1.0, pale)], 1)
    return "".join(picture(image) for image in colors)


def short_text(value: Any) -> str:
    """A value in a row of a table: numbers and names as they are, an array by its dtype and shape, "" for other objects.

    >>> short_text(np.zeros((3, 2))), short_text(0.5), short_text("linf"), short_text((1, 2)), short_text([{}] * 9)
    ('float64, shape (3, 2)', '0.5', 'linf', '(1, 2)', 'list of 9')
    """
    if isinstance(value, (np.ndarray, Tensor)):
        if value.ndim <= 1 and 0 < len(value.reshape(-1)) <= FEW:
            return short_text(value.tolist())
        return f"{str(value.dtype).removeprefix('torch.')}, shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list, dict)):
        plain = len(value) <= FEW and all(isinstance(one, (str, Rational, float)) for one in value)
        return reprlib.repr(value) if plain and not isinstance(value, dict) else f"{type(value).__name__} of {len(value)}"
    if not isinstance(value, (str, Rational, float, HtmlRepr, torch.dtype)):
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


class HtmlRepr:
    """A mixin for results: notebooks show the one-line ``repr``, and the fields of a dataclass as a table.

    >>> class Result(HtmlRepr):
    ...     def __repr__(self):
    ...         return "<3 cells>"
    >>> Result()._repr_html_()
    '<code>&lt;3 cells&gt;</code>'
    """

    def _repr_html_(self) -> str:
        line = f"<code>{escape(repr(self))}</code>"
        if not dataclasses.is_dataclass(self):
            return line
        texts = {f.name: short_text(getattr(self, f.name)) for f in dataclasses.fields(self) if not f.name.startswith("_")}
        return html_table(line, {name: text for name, text in texts.items() if text})


class TableRepr(HtmlRepr):
    """A mixin for results that are rows of numbers: notebooks show the ``repr`` and the first rows."""

    def to_dataframe(self) -> DataFrame:
        """The rows as a table of pandas."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        frame = self.to_dataframe()
        more = f"<p>{len(frame) - MOST_ROWS:,} more rows</p>" if len(frame) > MOST_ROWS else ""
        return f"<code>{escape(repr(self))}</code>{frame.head(MOST_ROWS).to_html()}{more}"
