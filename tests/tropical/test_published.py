"""The table of published values in the docs: computed again, and the same values as on the page."""

from __future__ import annotations

import pytest

from benchmarks.published import PAGE, VALUES, Published


@pytest.mark.parametrize("row", VALUES, ids=lambda row: row.example)
def test_published_values(row: Published) -> None:
    assert str(row.compute()) == row.value


def test_the_page_has_them_all() -> None:
    page = PAGE.read_text(encoding="utf8")
    for row in VALUES:
        assert f"| {row.system} | {row.example} | {row.value} | {row.value} |" in page
