"""Explanations as the page draws them from their numbers."""

import numpy as np

from tests.page.site import Site
from tests.page.test_image_answers import pixels


def explain(site: Site) -> None:
    drawn = site.page.get_by_label("as an image that the server draws").last
    if drawn.count():
        drawn.uncheck()
    site.page.get_by_role("button", name="Explain").click()
    site.page.locator(".explanation").wait_for()


def test_a_heat_map_has_the_sign_of_each_cell(site: Site) -> None:
    site.open("tiny-image", explained=True)
    site.use_sample()
    explain(site)
    found = site.answers[-1]
    drawn = pixels(site.page.locator(".explanation canvas.heat")).astype(int)
    rows = np.array(found["attributions"])
    x1, y1, x2, y2 = found["box"]
    strongest = np.argsort(np.abs(rows), axis=None)[-5:]
    for row, column in zip(*np.unravel_index(strongest, rows.shape), strict=True):
        x = int(x1 + (column + 0.5) * (x2 - x1) / rows.shape[1])
        y = int(y1 + (row + 0.5) * (y2 - y1) / rows.shape[0])
        red, _, blue, alpha = drawn[y, x]
        assert alpha > 100
        assert (red > blue) == (rows[row, column] > 0)
    assert found["target"]["label"] in site.page.locator(".explanation").inner_text()


def test_tokens_are_coloured_in_their_text(site: Site) -> None:
    text = "Où est la gare 🚉 ?"
    site.open("tiny-topics", explained=True)
    site.page.get_by_role("textbox", name="The text").fill(text)
    explain(site)
    tokens = site.answers[-1]["attributions"]
    places = sorted({(each["start"], each["end"]) for each in tokens})
    assert len(places) > 3
    marks = site.page.locator(".explanation mark")
    marks.first.wait_for()
    assert marks.all_text_contents() == [text[start:end] for start, end in places]
    sums = [sum(each["weight"] for each in tokens if (each["start"], each["end"]) == place) for place in places]
    colours = marks.evaluate_all("all => all.map(mark => getComputedStyle(mark).backgroundColor)")
    for total, colour in zip(sums, colours, strict=True):
        assert colour.startswith("rgba(178, 24, 43" if total >= 0 else "rgba(33, 102, 172")


def test_a_recordings_bands_and_curve(site: Site) -> None:
    site.open("tiny-keywords", explained=True)
    site.use_sample()
    explain(site)
    found = site.answers[-1]
    drawn = pixels(site.page.locator(".explanation canvas.bands")).astype(int)
    rows = np.array(found["attributions"])[::-1]  # the lowest band is at the bottom
    assert drawn.shape[:2] == rows.shape
    strong = drawn[..., 3] > 20
    assert strong.any()
    assert ((drawn[..., 0] > drawn[..., 2]) == (rows >= 0))[strong].all()
    assert site.page.locator(".explanation .band-curve rect").count() == len(found["curve"])
