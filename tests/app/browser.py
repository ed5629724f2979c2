"""A real Chromium, driven by Playwright; without one the tests are left out, unless TROPICA_BROWSER=required."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.app.explored import TOKEN

PATIENCE = 120_000
"""Milliseconds until a page that a busy machine keeps waiting counts as wrong."""


def left_out(why: str) -> None:
    """Leave a test out, or fail it where the browser is required."""
    text = f"browser tests are left out: {why}"
    if os.environ.get("TROPICA_BROWSER") == "required":
        pytest.fail(text)
    pytest.skip(text)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        left_out("no playwright (pip install playwright)")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        left_out("no Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def new_page(browser: Any, **settings: Any) -> Any:
    """A page in a context of its own, which waits with patience."""
    page = browser.new_context(**settings).new_page()
    page.set_default_timeout(PATIENCE)
    return page


@contextmanager
def opened(browser: Any, port: int, view: str = "", width: int = 1280) -> Iterator[Any]:
    """A page at a view; at its end there must have been no error on the console."""
    page, errors = new_page(browser, viewport={"width": width, "height": 900}), []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}{view}")
    yield page
    page.context.close()
    assert errors == []
