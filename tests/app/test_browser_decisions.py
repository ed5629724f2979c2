"""The page in a real Chromium: what it shows of decisions is what the Python API gives."""

from __future__ import annotations

import re

import pytest

import tropica as tp
from tests.app.browser import new_page, opened
from tests.app.explored import served


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(re.sub(r"[^0-9eE.\-+]", "", text.replace("−", "-")))


def test_three_clicks_to_the_deciding_image_of_a_wrong_digit(explorer, browser):
    session, port = explorer
    inputs = session.inputs
    f = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training))
    with opened(browser, port) as page:
        page.click("[data-choice=by] label:has-text('wrong')")
        page.locator(".list .tile.wrong").first.click()
        page.wait_for_selector("table.terms")
        point = int(page.locator(".tile[aria-selected=true]").get_attribute("data-point") or -1)
        x, y = inputs.test.inputs[[point]], inputs.test.labels[[point]]
        given = tp.explain(inputs.net, f, x, y, 5, data=inputs.training)
        assert int(given.network_label) != int(y)
        rows = [[cell.inner_text() for cell in row.locator("td").all()] for row in page.locator("table.terms tbody tr").all()]
        assert [int(row[0]) for row in rows] == given.top.index[0].tolist()
        assert [number(row[3]) for row in rows] == pytest.approx(given.top.value[0].tolist(), rel=1e-3)
        assert [number(row[5]) for row in rows] == pytest.approx(given.angle[0].tolist(), rel=1e-2)
        logits = [number(cell.inner_text()) for cell in page.locator("table.outputs tbody td:nth-child(2)").all()]
        assert logits == pytest.approx(inputs.net(x)[0].tolist(), rel=1e-4)
        verdict = page.locator(".verdict").inner_text()
        assert f"N says {int(given.network_label)}" in verdict
        assert f"it is {int(y)}" in verdict
        address = page.evaluate("location.hash")
        page.locator(".card:has-text('deciding')").click()  # the other way round
        page.wait_for_selector("h2:has-text('Training point')")
        decides = int(tp.influence(f, inputs.test).decides[given.top.index[0, 0]])
        assert f"It decides {decides} test point" in page.locator(".verdict").inner_text()
        page.go_back()
        page.wait_for_selector(f"h2:has-text('Test point {point}')")
        with opened(browser, port, address) as other:  # the address is the view
            other.wait_for_selector(f"h2:has-text('Test point {point}')")
            other.click("[data-choice=method] label:has-text('paper')")
            paper = tp.ExtractedFunction(tp.extract(inputs.net, inputs.training, "paper"))
            other.wait_for_selector(f".exports[data-name='point-{point}-paper']")
            found = [int(cell.inner_text()) for cell in other.locator("table.terms td:first-child").all()]
            assert found == paper.top_terms(x, 5).index[0].tolist()


def test_a_click_is_kept_while_the_list_changes(explorer, browser):
    """The list is renewed while terms are extracted: also between the press and the release of a mouse button."""
    with opened(browser, explorer[1]) as page:
        page.wait_for_selector(".tile")
        page.wait_for_selector("#progress:empty", state="attached")

        def changed(route) -> None:
            answer = route.fetch()
            found = answer.json()
            for row in found["rows"]:
                row["margin"] = 12345.6
            route.fulfill(response=answer, json=found)

        page.route("**/api/points**", changed)
        tile = page.locator(".list .tile").nth(3)
        box = tile.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.evaluate("document.dispatchEvent(new CustomEvent('status'))")
        page.wait_for_selector(".list .tile:nth-child(4)[title*='margin 1235']")  # four digits of it
        page.mouse.up()
        page.wait_for_selector(f"h2:has-text('Test point {tile.get_attribute('data-point')}')")


def test_a_press_is_of_the_point_that_was_there(explorer, browser):
    """Another filter's list comes between the press and the release on a tile of the old list."""
    with opened(browser, explorer[1]) as page:
        held = []
        page.route("**/api/points?*by=wrong*", lambda route: held.append(route))
        page.wait_for_selector(".tile")
        everything = page.locator(".list [role=status]").inner_text()
        page.click("[data-choice=by] label:has-text('wrong')")
        tile = page.locator(".list .tile").nth(3)
        point, box = tile.get_attribute("data-point"), tile.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        while not held:
            page.wait_for_timeout(20)
        held[0].continue_()
        page.wait_for_selector(f".list [role=status]:not(:text-is('{everything}'))")
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        page.mouse.up()
        page.wait_for_selector(f"h2:has-text('Test point {point}')")
        page.wait_for_selector(".list .grid:not(:has(.tile:not(.wrong)))")  # and then the list is the new one


@pytest.mark.parametrize("width", [1280, 390])
def test_keyboard_and_width(explorer, browser, width):
    with opened(browser, explorer[1], width=width) as page:
        page.wait_for_selector(".tile")
        page.locator(".list .tile").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_selector("h2:has-text('Test point 1')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.detail p')).fontSize)") >= 12
        page.locator(".verdict dfn").first.focus()
        assert "N_i^(X)(x) = max" in page.locator("#tip").inner_text()
        assert page.locator("button:not([aria-label]):empty").count() == 0


def test_what_is_wrong_is_said_on_the_page(browser):
    def missing(report):
        raise tp.DataError("nothing.npz: there is no such file")

    with served(missing) as (_, port), opened(browser, port) as page:
        page.wait_for_selector(".error:has-text('nothing.npz: there is no such file')")
    with served(lambda report: nothing_but_a_network()) as (_, port), opened(browser, port) as page:
        page.wait_for_selector("main:has-text('opened without data')")


def test_a_stopped_server_is_said_on_the_page(browser):
    with served(lambda report: nothing_but_a_network()) as (_, port):
        page = new_page(browser)
        page.goto(f"http://127.0.0.1:{port}/?token=the-token")
        page.wait_for_selector("#tabs a")
    page.wait_for_selector("#banner:has-text('The server has stopped')")
    page.context.close()


def nothing_but_a_network():
    from tropica.app.inputs import Inputs

    return Inputs("net", tp.from_layers([([[1.0, 2.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, -1.0], [0.0, 1.0]], [0.5, 0.0])]))
