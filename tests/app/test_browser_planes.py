"""Planes, segments and comparisons in a real Chromium: what the page computes itself is compared with the Python API."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tropica as tp
from tests.app.browser import new_page, opened
from tests.app.explored import TOKEN
from tests.app.test_browser_decisions import number
from tests.app.test_planes import domain

PLANE = "#planes?points=test:1,test:2,training:3&low=0,0&high=0.5,0.5"
COMPLETE = "#plane[data-complete=true]"


def test_a_plane_and_its_zoom(explorer, browser):
    session, port = explorer
    inputs = session.inputs
    cx = tp.linear_regions(inputs.net, domain(inputs))
    with opened(browser, port, PLANE) as page:
        page.wait_for_selector(f"{COMPLETE}[data-cells='{len(cx)}'][data-boundary]")
        found = float(page.locator("#plane").get_attribute("data-boundary") or "nan")
        assert found == pytest.approx(cx.boundary().measure, rel=1e-9)  # the page clips the cells itself
        page.click("text=Count regions and maps")
        page.wait_for_selector("#plane-facts li")
        assert f"{len(cx.maps)} distinct" in page.locator("#plane-facts").inner_text()
        box = page.locator("#plane").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".readout [data-t]")
        t = [float(part) for part in (page.locator(".readout [data-t]").get_attribute("data-t") or "").split(",")]
        x = torch.from_numpy(cx.domain.origin + np.array(t) @ cx.domain.basis).float().reshape(1, 1, 8, 8)
        assert f"N says {int(inputs.net.predict(x))}" in page.locator(".readout").inner_text()
        shown = sorted(number(cell.inner_text()) for cell in page.locator(".readout table.scores td").all())
        assert shown == pytest.approx(sorted(inputs.net(x)[0].tolist()), rel=1e-4)
        page.locator("#plane").focus()
        page.keyboard.press("+")  # half of each side, around the middle: other cells, exact as well
        inner = tp.Slice(cx.domain.origin, cx.domain.basis, tp.Box([0.125, 0.125], [0.375, 0.375]))
        cells = len(tp.linear_regions(inputs.net, inner))
        assert cells != len(cx)
        page.wait_for_selector(f"{COMPLETE}[data-cells='{cells}'][data-view='0.125,0.125,0.375,0.375']")
        assert "low=0.125,0.125&high=0.375,0.375" in page.evaluate("location.hash")
        for color in ("map", "margin", "slope", "differs"):
            page.click(f"[data-choice=color] label:has(input[value='{color}'])")
            page.wait_for_selector(f"[data-choice=color] input[value='{color}']:checked", state="attached")
        page.wait_for_selector("#plane-state:has-text('N ≠ N^(X) on')")


def test_two_fingers_zoom_a_plane_and_a_tap_looks_at_a_point(explorer, browser):
    """Real touches: the point of the plane below each finger stays below it."""
    page = new_page(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(f"http://127.0.0.1:{explorer[1]}/?token={TOKEN}{PLANE}")
    page.wait_for_selector(COMPLETE)
    page.locator("#plane").scroll_into_view_if_needed()
    box = page.locator("#plane").bounding_box()
    touches = page.context.new_cdp_session(page)

    def send(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + a * box["width"], "y": box["y"] + b * box["height"], "id": i} for i, (a, b) in enumerate(places)
        ]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", (0.25, 0.5))
    send("touchEnd")
    page.wait_for_selector(".readout [data-t]")
    t = [float(part) for part in (page.locator(".readout [data-t]").get_attribute("data-t") or "").split(",")]
    assert t == pytest.approx([0.125, 0.25], abs=0.01)
    send("touchStart", (0.4, 0.5))
    send("touchStart", (0.4, 0.5), (0.6, 0.5))
    for step in range(1, 11):  # from a fifth of the width apart to two fifths: twice as large, around the middle
        send("touchMove", (0.4 - 0.01 * step, 0.5), (0.6 + 0.01 * step, 0.5))
    send("touchEnd")
    view, wanted = "0,0,0.5,0.5", pytest.approx([0.125, 0.125, 0.375, 0.375], abs=0.01)
    while [float(part) for part in view.split(",")] != wanted:  # a busy page may show views on the way
        page.wait_for_selector(f"{COMPLETE}:not([data-view='{view}'])")
        view = page.locator("#plane").get_attribute("data-view") or ""
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_segment(explorer, browser, width):
    session, port = explorer
    given = tp.linear_regions(session.inputs.net, tp.Segment(*session.inputs.test.inputs[1:3].double()))
    with opened(browser, port, "#segment?points=test:1,test:2", width) as page:
        page.wait_for_selector(f"svg.chart[data-breakpoints='{len(given) - 1}']")
        assert f"{len(given.cells)} cells" in page.locator(".stage p").first.inner_text()
        rows = [number(row.locator("td").first.inner_text()) for row in page.locator(".stage tbody tr").all()]
        assert rows == pytest.approx(given.label_changes().t.tolist()[:30], rel=1e-6)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_brushing_lists_points(explorer, browser):
    session, port = explorer
    inputs = session.inputs
    f = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training))
    found = tp.explain(inputs.net, f, inputs.test, k=1)
    inside = ((found.angle[:, 0] <= 60) & (found.distance[:, 0] <= 0.3)).nonzero().flatten().tolist()
    with opened(browser, port, "#comparison?brush=0,60,0,0.3") as page:
        page.wait_for_selector("svg.cloud circle")
        assert "N^(X) is wrong" in page.locator("[aria-label='Angles and distances']").inner_text()
        assert page.locator("svg.cloud circle").count() == int(found.angle[:, 0].isfinite().sum())
        page.wait_for_selector(f"h2:has-text('{len(inside)} test points in the rectangle')")
        assert [int(tile.get_attribute("data-point") or -1) for tile in page.locator("main .tile").all()] == inside[:120]
        share = number(page.locator("table.agreement tr.active td").first.inner_text())
        assert share == pytest.approx(100 * (tp.agreement(inputs.net, f, inputs.test).network_extracted or 0), abs=0.051)
        page.wait_for_selector("[aria-label='By layer'] svg.chart circle")
        assert page.locator("[aria-label='By layer'] svg.chart circle").count() == 2 * len(
            tp.layerwise(inputs.net, inputs.training, inputs.test).rows
        )
