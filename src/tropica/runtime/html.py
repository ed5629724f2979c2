"""Small HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(title: str, facts: Mapping[str, object]) -> str:
    """A table with a row for each fact. ``title`` is HTML; names and values are text.

    >>> html_table("Terms", {"points": "a < b"})
    '<table><caption>Terms</caption><tr><th>points</th><td>a &lt; b</td></tr></table>'
    """
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
    return f"<table><caption>{title}</caption>{rows}</table>"


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
