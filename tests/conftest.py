"""The order and marks of tests: those of one network stand together, so that one worker traces it; browser tests are marked."""

from __future__ import annotations

import pytest

from tests.networks import CASES

SLOW_DOCTESTS = {"tropica.studies.demo.run_demo"}
"""Doctests of what the tests of the documentation's commands run too."""
ORDER = {case.name: number for number, case in enumerate(CASES, 1)}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that drive a browser, and move those with a parameter `name` that is a network's behind the others."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker("browser")
        if item.name in SLOW_DOCTESTS:
            item.add_marker("slow")

    def network(item: pytest.Item) -> int:
        name = item.callspec.params.get("name") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
        return ORDER.get(name, 0) if isinstance(name, str) else 0

    items.sort(key=network)
