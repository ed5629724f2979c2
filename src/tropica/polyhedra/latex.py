"""Polyhedra and collections of them as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tropica.exact.number_text import latex_number
from tropica.polyhedra.conventions import Convention, shown

MOST_SHOWN = 12
"""Polyhedra that notebooks write out."""


def face(vertices: np.ndarray, rays: np.ndarray, lineality: np.ndarray, *, short: bool = False) -> str:
    r"""The convex hull of vertices plus the cone of rays plus the span of the lineality.

    >>> print(face(np.array([[0, 1]]), np.array([[1, 1]]), np.zeros((0, 2))))
    \left\{(0, 1)\right\} + \operatorname{cone}\{(1, 1)\}
    """
    corners = _points(vertices, short)
    parts = [rf"\operatorname{{conv}}\{{{corners}\}}" if len(vertices) > 1 else rf"\left\{{{corners}\right\}}"]
    for word, rows in (("cone", rays), ("span", lineality)):
        parts += [rf"\operatorname{{{word}}}\{{{_points(rows, short)}\}}"] if len(rows) else []
    return " + ".join(parts)


def union(polyhedra: Sequence[str]) -> str:
    """The union of polyhedra."""
    return r" \cup ".join(f"({p})" if len(polyhedra) > 1 and " + " in p else p for p in polyhedra) or r"\varnothing"


def collection(polyhedra: Sequence[str]) -> str:
    """The set of polyhedra."""
    return rf"\left\{{{', '.join(polyhedra)}\right\}}"


def shown_list(convention: Convention, polyhedra: Sequence[str], joined: Callable[[Sequence[str]], str], name: str) -> str:
    """LaTeX for a notebook: the convention, and the polyhedra or, of many, their count."""
    body = joined(polyhedra) if len(polyhedra) <= MOST_SHOWN else rf"\text{{{len(polyhedra):,} {name}}}"
    return rf"$\text{{{shown(convention)}: }} {body}$"


def _points(rows: Any, short: bool) -> str:
    return ", ".join(f"({', '.join(latex_number(v, short=short) for v in row)})" for row in rows.tolist())
