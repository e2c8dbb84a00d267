"""Request limits by kind of input: the keys of a spec's `limits`."""

from __future__ import annotations

from pydantic import Field

from archiver.config import Count, Positive, StrictModel

MEBIBYTE = 1 << 20
# A worker is planned with 600 MiB (deploy/serving_plan.py) and itself needs up to 200. Processing an image of the most
# expensive format takes 16 bytes per pixel, so this many fit into the rest.
MAX_PIXELS = 25_000_000


class RequestLimits(StrictModel):
    max_instances: Count = Field(
        default=64, description="maximum inputs in one request: KServe's instances, or a list of `inputs`"
    )


class MediaLimits(RequestLimits):
    max_values: Count = Field(default=3_000_000, description="maximum numbers in a JSON body without base64")


class Limits(MediaLimits):
    """Limits of the user's own task, whose handler may define others."""

    max_bytes: Count = Field(default=16 * MEBIBYTE, description="maximum size of the body")


class ImageLimits(MediaLimits):
    max_bytes: Count = Field(default=16 * MEBIBYTE, description="maximum size of the encoded image or the JSON body")
    max_pixels: Count = Field(
        default=MAX_PIXELS,
        description="maximum width × height, of the image as sent and while resizing; checked before decoding",
    )


class ZeroShotLimits(ImageLimits):
    max_labels: Count = Field(default=100, description="maximum number of labels in a request or in the spec")
    max_label_characters: Count = Field(default=200, description="maximum length of a label, and of the template")


class DepthLimits(ImageLimits):
    max_model_pixels: Count = Field(
        default=1_000_000, description="maximum width × height of the model's input, if it depends on the image's shape"
    )


class ClassificationLimits(ImageLimits):
    max_feature_values: Count = Field(
        default=100_000, description="maximum numbers of the layers' features in one answer"
    )


class AudioLimits(MediaLimits):
    max_bytes: Count = Field(
        default=16 * MEBIBYTE, description="maximum size of the encoded recording or the JSON body"
    )
    max_seconds: Positive = Field(default=60.0, description="maximum length of the decoded recording")
    max_samples: Count = Field(
        default=12_000_000, description="maximum samples of the recording over all channels; checked before decoding"
    )
    max_feature_values: Count = Field(default=100_000, description="maximum numbers of the features in one answer")


class SpeechRecognitionLimits(AudioLimits):
    """Five minutes of mono at 48 kHz. Whisper models have 448 positions for the text of a window."""

    max_seconds: Positive = Field(default=300.0, description="maximum length of the decoded recording")
    max_samples: Count = Field(
        default=15_000_000, description="maximum samples of the recording over all channels; checked before decoding"
    )
    max_new_tokens: Count = Field(default=448, description="maximum tokens of a window's text that a request may set")


class TextLimits(RequestLimits):
    max_bytes: Count = Field(default=MEBIBYTE, description="maximum size of the text or the JSON body")
    max_characters: Count = Field(default=100_000, description="maximum length of one text")


class TextGenerationLimits(TextLimits):
    max_new_tokens: Count = Field(default=512, description="most that a request may ask for")


class TensorLimits(RequestLimits):
    """Limits of observations, whose shape already determines the number of elements."""

    max_instances: Count = Field(default=256, description="inputs in one request: KServe's instances")
    max_bytes: Count = Field(default=MEBIBYTE, description="maximum size of the JSON body")
    max_observations: Count = Field(
        default=256, description="maximum observations in one request and in one call of the model"
    )
