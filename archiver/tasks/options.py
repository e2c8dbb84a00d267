"""The keys of a spec's `options`: defaults for requests that do not set them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archiver.config import Count, Fraction, Positive, Seconds, StrictModel

APPLIES = "minimum probability of an applicable class of a multi-label model"


class ClassificationOptions(StrictModel):
    top_k: Count = Field(default=5, description="number of classes in an answer, best first")


class WindowOptions(StrictModel):
    window_seconds: Positive | None = Field(
        default=None, description="length of the model's window; by default the artifact's"
    )
    hop_seconds: Positive | None = Field(default=None, description="distance between windows; by default half a window")
    average: Literal["energy", "equal"] = Field(default="energy", description="how a recording's windows are weighted")


class AudioClassificationOptions(ClassificationOptions, WindowOptions):
    """Options for classes and windows."""


class SpeechRecognitionOptions(StrictModel):
    """Defaults of requests, except for the windows. language, task, max_new_tokens: for Whisper only."""

    window_seconds: Positive | None = Field(
        default=None, description="length of a long recording's windows; by default the artifact's"
    )
    stride_seconds: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="context at both ends of a window; by default a sixth of the window"
    )
    timestamps: Literal["none", "word", "segment"] = Field(
        default="none", description="timestamps in the answer: of words, or of Whisper's segments"
    )
    language: str = Field(
        default="auto", min_length=1, description="spoken language, as a code or an English name; auto: detect it"
    )
    task: Literal["transcribe", "translate"] = Field(default="transcribe", description="translate: into English")
    max_new_tokens: Count | None = Field(
        default=None, description="maximum tokens of a window's text; by default the limit"
    )


class VoiceActivityOptions(StrictModel):
    """Defaults for requests, taken from Silero VAD."""

    threshold: Fraction = Field(default=0.5, description="minimum probability of a speech frame")
    min_speech_seconds: Seconds = Field(default=0.25, description="shorter speech is ignored")
    min_silence_seconds: Seconds = Field(default=0.1, description="shorter silence does not end a segment")
    pad_seconds: Seconds = Field(default=0.03, description="padding on both sides of a segment")


class TextClassificationOptions(ClassificationOptions):
    threshold: Fraction = Field(default=0.5, description=APPLIES)


class NoOptions(StrictModel):
    """For tasks without options."""


class QuestionAnsweringOptions(StrictModel):
    top_k: Annotated[int, Field(ge=1, le=20)] = Field(
        default=1, description="number of answers to a question, best first"
    )
    max_answer_tokens: Count = Field(default=30, description="maximum length of an answer")


class TextGenerationOptions(StrictModel):
    """Defaults for requests."""

    max_new_tokens: Count = Field(default=64, description="maximum number of generated tokens")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(default=0.0, description="0: the most probable token")
    top_p: Fraction = Field(default=1.0, description="total probability of the tokens to sample from")
    chat: bool = Field(default=False, description="treat the text as a user's turn and apply the model's chat template")


class DecodeOptions(StrictModel):
    decode: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="where a worker with a GPU decodes JPEGs; auto: on the GPU if the sample's answer stays the same",
    )


class ImageClassificationOptions(DecodeOptions, ClassificationOptions):
    embedding: str | None = Field(
        default=None,
        min_length=1,
        description="layer whose output, averaged over positions, `embedding=true` returns; by default the artifact's",
    )
    features: dict[str, Literal["map", "pooled"]] = Field(
        default_factory=dict,
        max_length=16,
        description="layers that a request can ask for: map for the output, pooled for its average over positions",
    )
    threshold: Fraction = Field(default=0.5, description=APPLIES)


class ImageEmbeddingOptions(DecodeOptions):
    embedding: str | None = Field(
        default=None, min_length=1, description="layer whose output is the embedding; by default the artifact's"
    )
    pooling: Literal["model", "first", "mean"] = Field(
        default="model", description="the model's own vector, its first token's last state, or the mean of all tokens'"
    )
    normalise: bool = Field(default=True, description="normalise to length 1, unless a request says otherwise")


class ZeroShotOptions(DecodeOptions, ClassificationOptions):
    template: str = Field(
        default="This is a photo of {}.", min_length=1, description="text for the model, with {} replaced by the label"
    )
    label_sets: Count = Field(
        default=100, description="number of label sets that a worker caches, least recently used evicted first"
    )


class DetectionOptions(DecodeOptions):
    score_threshold: Fraction = Field(default=0.5, description="minimum score of a detection")
    max_detections: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=100, description="maximum detections in an answer, best first"
    )


class SegmentationOptions(DecodeOptions):
    min_area: Count = Field(default=1, description="minimum area of a segment in pixels")


class PolicyOptions(StrictModel):
    deterministic: bool = Field(default=True, description="return the most probable action instead of sampling one")
