"""Facts that stand in the archiver and in the handlers, which travel alone in every archive."""

import handlers.audio.decoding
import handlers.vision.decoding
from archiver.limits import AudioLimits, ImageLimits
from archiver.tasks.task import JSON
from archiver.tasks.vision import IMAGES


def test_limits_and_formats_of_media_are_the_same() -> None:
    assert ImageLimits().max_pixels == handlers.vision.decoding.MAX_PIXELS
    assert set(IMAGES) - {JSON} <= handlers.vision.decoding.MEDIA_TYPES.keys()
    named = {handlers.vision.decoding.MEDIA_TYPES[name] for name in IMAGES if name != JSON}
    assert named == set(handlers.vision.decoding.FORMATS)
    assert AudioLimits().max_seconds == handlers.audio.decoding.MAX_SECONDS
    assert AudioLimits().max_samples == handlers.audio.decoding.MAX_SAMPLES
