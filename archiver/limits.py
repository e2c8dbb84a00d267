"""Limits on requests, by kind of input: the keys of a spec's `limits`."""

from __future__ import annotations

from pydantic import Field

from archiver.config import Count, Positive, StrictModel

MEBIBYTE = 1 << 20
# A worker is planned with 600 MiB (deploy/serving_plan.py) and holds up to 200 itself. From file to answer an image of
# the most expensive format takes 16 bytes per pixel, so that this many fit into the rest.
MAX_PIXELS = 25_000_000


class RequestLimits(StrictModel):
    max_instances: Count = Field(
        default=64, description="inputs in one request: KServe's instances, a list of `inputs`"
    )


class MediaLimits(RequestLimits):
    max_values: Count = Field(default=3_000_000, description="numbers in a JSON body, where it holds no base64")


class Limits(MediaLimits):
    """Of a task of one's own, whose handler may know more."""

    max_bytes: Count = Field(default=16 * MEBIBYTE, description="of the body")


class ImageLimits(MediaLimits):
    max_bytes: Count = Field(default=16 * MEBIBYTE, description="of the encoded image or the JSON body")
    max_pixels: Count = Field(
        default=MAX_PIXELS, description="width × height, of the image as sent and while it is resized; read first"
    )


class ZeroShotLimits(ImageLimits):
    max_labels: Count = Field(default=100, description="in one request, or of the spec")
    max_label_characters: Count = Field(default=200, description="of a label, and of the template")


class DepthLimits(ImageLimits):
    max_model_pixels: Count = Field(
        default=1_000_000, description="width × height of the image as the model sees it, where that follows its shape"
    )


class ClassificationLimits(ImageLimits):
    max_feature_values: Count = Field(default=100_000, description="numbers of the layers' features in one answer")


class AudioLimits(MediaLimits):
    max_bytes: Count = Field(default=16 * MEBIBYTE, description="of the encoded recording or the JSON body")
    max_seconds: Positive = Field(default=60.0, description="of the decoded recording")
    max_samples: Count = Field(
        default=12_000_000, description="of the recording, in all its channels; read before anything is decoded"
    )
    max_feature_values: Count = Field(default=100_000, description="numbers of the features in one answer")


class SpeechRecognitionLimits(AudioLimits):
    """Five minutes, of one channel at 48 kHz. max_new_tokens: a Whisper model has 448 positions for a window's text."""

    max_seconds: Positive = Field(default=300.0, description="of the decoded recording")
    max_samples: Count = Field(
        default=15_000_000, description="of the recording, in all its channels; read before anything is decoded"
    )
    max_new_tokens: Count = Field(default=448, description="of the text of a window, most that a request may ask for")


class TextLimits(RequestLimits):
    max_bytes: Count = Field(default=MEBIBYTE, description="of the text or the JSON body")
    max_characters: Count = Field(default=100_000, description="of one text")


class TextGenerationLimits(TextLimits):
    max_new_tokens: Count = Field(default=512, description="most that a request may ask for")


class TensorLimits(RequestLimits):
    """The number of elements needs no limit of its own: the observation's shape fixes it."""

    max_instances: Count = Field(default=256, description="inputs in one request: KServe's instances")
    max_bytes: Count = Field(default=MEBIBYTE, description="of the JSON body")
    max_observations: Count = Field(default=256, description="in one request, and in one call of the model")
