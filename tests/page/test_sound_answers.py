"""Recordings as they are taken and drawn, with what was found in them."""

import io

import numpy as np
import pytest
import soundfile

from tests.inputs import noise, recording
from tests.page.site import Site


def spans(site: Site) -> list[tuple[float, float]]:
    """start, end of each that is drawn, in seconds."""
    found = site.answer.locator(".spans rect").evaluate_all(
        "all => all.map(rect => [+rect.getAttribute('x'), +rect.getAttribute('width')])"
    )
    return [(start, start + width) for start, width in found]


def choose(site: Site, content: bytes, name: str = "sound.wav", media_type: str = "audio/wav") -> None:
    site.page.get_by_label("Choose an audio file").set_input_files(
        {"name": name, "mimeType": media_type, "buffer": content}
    )


def test_windows_of_a_recording_over_its_time(site: Site) -> None:
    site.open("tiny-audio")
    choose(site, recording(noise(2.0, 0)))
    answer = site.ask()
    windows = answer["windows"]
    starts = [each["start"] for each in windows]
    assert spans(site) == pytest.approx(np.array([starts, [*starts[1:], windows[-1]["end"]]]).T)
    site.answer.locator(".waveform path[d^=M]").wait_for()
    assert site.answer.locator(".spans").get_attribute("viewBox") == "0 0 2 1"
    shown = site.answer.get_by_role("option").all_inner_texts()
    assert [text.split("\n")[1].split()[0] for text in shown] == [each["label"] for each in windows]


def test_the_spectrogram_shows_a_tone_at_its_frequency(site: Site) -> None:
    site.open("tiny-audio")
    choose(site, recording(0.3 * np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000).astype(np.float32)))
    site.ask()
    site.answer.locator(".waveform path[d^=M]").wait_for()
    row = site.answer.locator(".spectrogram").evaluate(
        """canvas => {
          const {data} = canvas.getContext("2d").getImageData(300, 0, 1, canvas.height);
          const levels = Array.from({length: canvas.height}, (_, y) => data[4 * y] + data[4 * y + 1]);
          return levels.indexOf(Math.max(...levels));
        }"""
    )
    assert (255 - row) * 16_000 / 512 == pytest.approx(2000, abs=35)  # the highest band is on top


@pytest.mark.parametrize(("form", "subtype", "media_type"), [
    ("FLAC", "PCM_16", "audio/flac"), ("OGG", "VORBIS", "audio/ogg"), ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
])  # fmt: skip
def test_formats_that_the_server_reads_are_drawn(site: Site, form: str, subtype: str, media_type: str) -> None:
    site.open("tiny-audio")
    choose(site, recording(noise(1.0, 1), form, subtype), f"sound.{form.lower()}", media_type)
    site.ask()
    site.answer.locator(".waveform path[d^=M]").wait_for()
    assert site.sent[-1][1] == media_type


def test_speech_where_it_was_found(site: Site) -> None:
    answer = site.answered("tiny-voice")
    assert spans(site) == pytest.approx(np.array([(each["start"], each["end"]) for each in answer["segments"]]))
    assert f"{answer['speech_seconds']:.2f} s of {answer['seconds']:.2f} s" in site.answer.inner_text()


def test_words_with_their_times(site: Site) -> None:
    site.prepared = {
        "text": "where is",
        "seconds": 1.0,
        "words": [{"text": "where", "start": 0.1, "end": 0.4}, {"text": "is", "start": 0.5, "end": 0.75}],
    }
    site.answered("tiny-letters")
    assert spans(site) == pytest.approx(np.array([(0.1, 0.4), (0.5, 0.75)]))
    site.answer.get_by_role("option").nth(1).click()
    player = site.answer.locator("audio")
    site.until(lambda: player.evaluate("player => player.currentTime") >= 0.5)


def test_a_recording_of_the_microphone_is_a_wav_file_at_the_models_rate(site: Site) -> None:
    site.open("tiny-audio")
    site.page.get_by_role("button", name="Record").click()
    site.page.get_by_role("button", name="Stop").wait_for()
    meter = site.page.locator("meter")
    site.until(lambda: meter.count() == 1 and meter.evaluate("meter => meter.value") > 0.01)
    site.page.wait_for_timeout(500)
    site.page.get_by_role("button", name="Stop").click()
    site.page.get_by_text("recording.wav").wait_for()
    site.ask()
    [(row, media_type)] = site.sent
    assert media_type == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(row["body"]))
    assert rate == 16_000
    assert samples.ndim == 1
    assert len(samples) > 0.3 * rate
    assert np.abs(samples).max() > 0.01
