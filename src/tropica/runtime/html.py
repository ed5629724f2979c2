"""Small HTML for notebooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

from torch import Tensor


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
    return f'<img height="{height}" src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode("ascii")}">'


class HtmlRepr:
    """A mixin for results: notebooks show the one-line ``repr``.

    >>> class Result(HtmlRepr):
    ...     def __repr__(self):
    ...         return "<3 cells>"
    >>> Result()._repr_html_()
    '<code>&lt;3 cells&gt;</code>'
    """

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"
