"""Answers about texts as they are drawn. Offsets count characters, of which JavaScript has some twice."""

import json

import pytest

from tests.page.site import Site

# Before, within and behind what the models mark: emoji, a flag of two characters, a decomposed letter.
TEXT = "🚉 The train to Zürich 🏔️ leaves at noon. 🇨🇭 Marie Curie 👩‍🔬 worked in Paris, and was born in Warsaw."


def marks(site: Site) -> list[str]:
    return site.answer.locator("mark").all_text_contents()


def test_entities_are_marked_where_they_stand(site: Site) -> None:
    site.open("tiny-entities")
    site.page.get_by_role("textbox", name="The text").fill(TEXT)
    entities = site.ask()["entities"]
    assert entities
    assert (
        marks(site) == [TEXT[each["start"] : each["end"]] for each in entities] == [each["text"] for each in entities]
    )
    assert site.answer.locator("mark").evaluate_all("all => all.map(mark => mark.dataset.label)") == [
        each["label"] for each in entities
    ]
    assert site.answer.locator(".marked-text").text_content() == TEXT
    text = site.answer.get_by_role("option").first.inner_text()
    assert f"{entities[0]['label']}: {entities[0]['text']}" in text


def test_the_answer_to_a_question_is_marked_in_its_context(site: Site) -> None:
    site.open("tiny-answers")
    site.page.get_by_role("textbox", name="Question").fill("Where was she born? 🤔")
    assert site.page.get_by_role("button", name="Ask").is_disabled()  # without a context
    site.page.get_by_role("textbox", name="Context").fill(TEXT)
    answers = site.ask()["answers"]
    assert json.loads(site.sent[-1][0]["body"]) == {"question": "Where was she born? 🤔", "context": TEXT}
    places = sorted(answers, key=lambda each: each["start"])
    assert marks(site) == [TEXT[each["start"] : each["end"]] for each in places]
    assert site.answer.locator(".best-answer").text_content() == answers[0]["text"]


def test_the_sample_of_a_question_is_taken_apart(site: Site) -> None:
    site.answered("tiny-answers")
    assert site.page.get_by_role("textbox", name="Question").input_value() == "Where was she born?"
    assert "Warsaw" in site.page.get_by_role("textbox", name="Context").input_value()


def test_a_text_is_never_markup(site: Site) -> None:
    text = "<img src=x onerror=alert(1)> <b>The</b> train & <script>alert(2)</script>"
    site.open("tiny-entities")
    site.page.get_by_role("textbox", name="The text").fill(text)
    site.prepared = {"entities": [{"text": "<b>The</b>", "label": "<i>LOC", "start": 29, "end": 39, "score": 0.5}]}
    site.ask()
    assert marks(site) == ["<b>The</b>"]
    assert site.answer.locator(".marked-text").text_content() == text
    assert site.answer.locator("b, i, img, script").count() == 0


def test_overlapping_and_impossible_offsets_leave_the_text_whole(site: Site) -> None:
    site.open("tiny-entities")
    site.page.get_by_role("textbox", name="The text").fill(TEXT)
    places = [(0, 5), (3, 9), (5, 5), (90, 500), (400, 600)]
    site.prepared = {
        "entities": [{"text": "", "label": "X", "start": start, "end": end, "score": 0.5} for start, end in places]
    }
    site.ask()
    assert marks(site) == [TEXT[0:5], TEXT[90:]]
    assert site.answer.locator(".marked-text").text_content() == TEXT


def test_a_generated_text_with_how_it_ended(site: Site) -> None:
    site.open("tiny-writer")
    site.page.get_by_label("show the text as it is written").uncheck()
    site.page.get_by_role("textbox", name="The text").fill("Where is the station 🚉")
    answer = site.ask()
    assert site.answer.locator(".generated").text_content() == answer["text"]
    facts = site.answer.locator(".facts").inner_text()
    assert f"{answer['tokens']['written']} written" in facts
    assert {"length": "limit on new tokens", "eos_token": "ended the text"}[answer["finish_reason"]] in facts


def test_characters_are_counted_as_the_server_does(site: Site) -> None:
    site.open("tiny-text")
    area = site.page.get_by_role("textbox", name="The text")
    area.fill(TEXT)
    assert f"{len(TEXT)} of 500 characters" in site.page.locator(".input-editor").inner_text()
    area.fill("🚉" * 501)
    assert area.get_attribute("aria-invalid") == "true"
    area.fill("   ")
    assert site.page.get_by_role("button", name="Ask").is_disabled()


@pytest.mark.parametrize("name", ["tiny-text", "tiny-topics"])
def test_classes_of_a_text(site: Site, name: str) -> None:
    answer = site.answered(name)
    shown = site.answer.locator(".bar-label").all_inner_texts()
    assert [text.split()[0] for text in shown] == [each["label"] for each in answer["predictions"]]


def test_a_text_that_was_cut(site: Site) -> None:
    site.open("tiny-entities")
    site.page.get_by_role("textbox", name="The text").fill("The train to Paris. " * 40)
    answer = site.ask()
    assert answer["truncated"]
    tokens = answer["tokens"]
    assert f"The model read {tokens['read']} of {tokens['sent']} tokens" in site.answer.inner_text()


def test_any_other_answer_is_a_tree(site: Site) -> None:
    """Of the 100,000 numbers only those that are looked at are in the page."""
    site.open("tiny-text")
    site.page.get_by_role("textbox", name="The text").fill("Where?")
    site.prepared = {"a handler's own": {"numbers": list(range(100_000)), "text": "x" * 5000, "none": None}}
    site.ask()
    numbers = site.answer.locator("summary", has_text="numbers")
    assert "[100,000]" in numbers.inner_text()
    numbers.click()
    site.answer.get_by_text("100 of 100,000 shown; show 100 more").click()
    assert site.answer.locator(".json-number").count() == 200
    assert "show all 5,000 characters" in site.answer.inner_text()
