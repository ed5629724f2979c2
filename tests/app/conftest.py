"""One server for the tests of the explorer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.browser import chromium
from tests.app.explored import served, small_inputs
from tropica.app.session import Session


@pytest.fixture(scope="package")
def explorer() -> Iterator[tuple[Session, int]]:
    """A session that is ready, and its port."""
    with served(lambda report: small_inputs()) as (session, port):
        session.loading.wait(120)
        assert session.loading.state == "done", session.loading.error
        yield session, port


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    with chromium() as found:
        yield found
