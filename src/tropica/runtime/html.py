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
