"""Observations as they are given, and actions as they are drawn."""

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.site import Site


def widths(site: Site) -> list[float]:
    """Of the bars, in percent of the row."""
    found: list[float] = site.answer.locator(".bar-fill").evaluate_all(
        "all => all.map(bar => parseFloat(bar.style.width))"
    )
    return found


def test_each_number_has_a_field_with_its_bounds(site: Site) -> None:
    site.open("tiny-policy")
    fields = site.page.locator(".number-field")
    assert fields.count() == 4
    assert [field.locator("input[type=range]").count() for field in fields.all()] == [1, 0, 1, 0]  # where both ends are
    slider = fields.nth(2).locator("input[type=range]")
    slider.fill("0.21")
    site.page.get_by_label("observation[1]", exact=True).fill("-1.5e3")
    answer = site.ask()
    sent = json.loads(site.sent[-1][0]["body"])["data"]
    assert sent == pytest.approx([0, -1500, 0.21, 0], abs=1e-3)
    assert widths(site) == pytest.approx(np.array(answer["probabilities"]) * 100, abs=0.01)
    assert answer["label"] in site.answer.locator(".chosen").inner_text()
    assert f"({answer['label']})" in site.answer.inner_text()


def test_a_number_out_of_bounds_is_not_sent(site: Site) -> None:
    site.open("tiny-policy")
    first = site.page.get_by_label("observation[0]", exact=True)
    for wrong, problem in (("5", "above 4.8"), ("-", "not a number"), ("", "not a number")):
        first.fill(wrong)
        assert problem in site.page.locator(".number-field").first.inner_text()
        assert site.page.get_by_role("button", name="Ask").is_disabled()
    first.fill("4.8")
    assert site.page.get_by_role("button", name="Ask").is_enabled()


def test_the_sample_fills_the_fields(site: Site) -> None:
    site.open("tiny-policy")
    site.use_sample()
    for index, value in enumerate(("0.1", "0.2", "0.3", "0.4")):
        expect(site.page.get_by_label(f"observation[{index}]", exact=True)).to_have_value(value)


def test_several_observations_as_json(site: Site) -> None:
    site.open("tiny-policy")
    site.page.get_by_label("JSON", exact=True).first.check()
    area = site.page.locator("textarea.code")
    area.fill('{"data": [[0, 0, 0, 0], [0.1, 2, 0.3, 4]')
    assert site.page.get_by_role("button", name="Ask").is_disabled()
    assert site.page.locator(".invalid").count() == 1
    area.fill('{"data": [[0, 0, 0, 0], [0.1, 2, 0.3, 4]]}')
    answers = site.ask()["predictions"]
    assert widths(site) == pytest.approx(np.array(answers[0]["probabilities"]) * 100, abs=0.01)
    site.answer.get_by_label("Observation 1 of 2").fill("1")
    site.answer.get_by_text("Observation 2 of 2").wait_for()
    assert widths(site) == pytest.approx(np.array(answers[1]["probabilities"]) * 100, abs=0.01)


def test_values_of_actions_from_zero(site: Site) -> None:
    answer = site.answered("tiny-values")
    values = np.array(answer["values"])
    low, high = min(0, values.min()), max(0, values.max())
    assert widths(site) == pytest.approx(100 * np.abs(values) / (high - low), abs=0.01)
    assert site.answer.locator(".chosen .bar-label").inner_text() == answer["label"]


def test_a_continuous_action_between_its_bounds(site: Site) -> None:
    answer = site.answered("tiny-torque")
    mean, std = answer["mean"][0], answer["std"][0]
    low, high = ((np.clip(mean + side * std, -0.25, 0.25) + 0.25) / 0.5 for side in (-1, 1))
    assert widths(site) == pytest.approx([100 * (high - low)], abs=0.01)
    assert "-0.25 to 0.25" in site.answer.inner_text()
