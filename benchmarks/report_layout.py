"""``python -m benchmarks.report_layout REPORT.html [PICTURE.png]``: how long a report is, and where its figures stand.

A Chromium opens the page at 1280 × 800 pixels, prints its height, the top of the first figure and of each section, and takes a
picture of the first screen.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

LAYOUT = """() => ({
    height: document.documentElement.scrollHeight,
    figures: [...document.querySelectorAll("figure")].map(f => Math.round(f.getBoundingClientRect().top)),
    uncaptioned: [...document.querySelectorAll("img")].filter(i => !i.closest("figure")?.querySelector("figcaption")).length,
    sections: [...document.querySelectorAll("h2")].map(h => [h.textContent.trim(), Math.round(h.getBoundingClientRect().top)]),
})"""


def main(report: str, picture: str | None = None) -> None:
    """Print the layout of a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(Path(report).resolve().as_uri())
        found = page.evaluate(LAYOUT)
        if picture:
            page.screenshot(path=picture, full_page=picture.endswith("full.png"))
        browser.close()
    first = f"the first of {len(found['figures'])} figures at {found['figures'][0]:,}" if found["figures"] else "no figure"
    print(f"{found['height']:,} pixels high, {first}; {found['uncaptioned']} pictures without a caption")
    for title, top in found["sections"]:
        print(f"{top:8,}  {title}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit("python -m benchmarks.report_layout REPORT.html [PICTURE.png]")
    main(*sys.argv[1:])
