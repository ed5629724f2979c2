"""The page of results is what its JSON says."""

from __future__ import annotations

import json

import pytest

from benchmarks.results import NUMBERS, PAGE, page


def test_the_page_is_written_from_its_json() -> None:
    text, tables = PAGE.read_text(encoding="utf8"), json.loads(NUMBERS.read_text(encoding="utf8"))
    assert page(text, tables) == text
    name = next(iter(tables))
    changed = {**tables, name: {**tables[name], "commit": "0000000"}}
    assert "0000000" in page(text, changed)
    with pytest.raises(SystemExit, match="has the tables"):
        page(text, {name: tables[name]})


def test_every_table_says_where_it_is_from() -> None:
    for name, table in json.loads(NUMBERS.read_text(encoding="utf8")).items():
        assert table["commit"], name
        assert table["machine"], name
        if table["kind"] == "measured":
            assert {len(digest) for digest in table["weights"].values()} == {64}, name
