"""How a task answers where a request does not say: the keys of a spec's `options`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archiver.config import Count, Fraction, Positive, Seconds, StrictModel

APPLIES = "probability from which a class of a multi-label model applies"


class ClassificationOptions(StrictModel):
    top_k: Count = Field(default=5, description="classes in an answer, best first")


class WindowOptions(StrictModel):
    window_seconds: Positive | None = Field(
        default=None, description="of the model's window; by default the artifact's"
    )
    hop_seconds: Positive | None = Field(default=None, description="between windows; by default half a window")
    average: Literal["energy", "equal"] = Field(default="energy", description="how the windows of a recording count")


class AudioClassificationOptions(ClassificationOptions, WindowOptions):
    """Classes and windows."""


class SpeechRecognitionOptions(StrictModel):
    """For requests that do not say otherwise, but for the windows. language, task, max_new_tokens: of Whisper."""

    window_seconds: Positive | None = Field(
        default=None, description="of the windows of a long recording; by default the artifact's"
    )
    stride_seconds: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="at both ends of a window, as context for the rest; by default a sixth of it"
    )
    timestamps: Literal["none", "word", "segment"] = Field(
        default="none", description="in the answer: of words, or of Whisper's segments"
    )
    language: str = Field(default="auto", min_length=1, description="spoken: a code or an English name; auto: detected")
    task: Literal["transcribe", "translate"] = Field(default="transcribe", description="translate: into English")
    max_new_tokens: Count | None = Field(
        default=None, description="of the text of a window, at most; by default as many as the limit allows"
    )


class VoiceActivityOptions(StrictModel):
    """For requests that do not say otherwise; Silero VAD's own defaults."""

    threshold: Fraction = Field(default=0.5, description="probability from which a frame is speech")
    min_speech_seconds: Seconds = Field(default=0.25, description="shorter speech is left out")
    min_silence_seconds: Seconds = Field(default=0.1, description="shorter silence does not end a segment")
    pad_seconds: Seconds = Field(default=0.03, description="added on both sides of a segment")


class TextClassificationOptions(ClassificationOptions):
    threshold: Fraction = Field(default=0.5, description=APPLIES)


class NoOptions(StrictModel):
    """Of a task with nothing to choose."""


class QuestionAnsweringOptions(StrictModel):
    top_k: Annotated[int, Field(ge=1, le=20)] = Field(default=1, description="answers to a question, best first")
    max_answer_tokens: Count = Field(default=30, description="length of an answer, at most")


class TextGenerationOptions(StrictModel):
    """For requests that do not say otherwise."""

    max_new_tokens: Count = Field(default=64, description="tokens to write, at most")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(default=0.0, description="0: the most probable token")
    top_p: Fraction = Field(default=1.0, description="probability of the tokens that are drawn from, together")
    chat: bool = Field(default=False, description="the text is a turn of a user, put into the model's chat template")


class DecodeOptions(StrictModel):
    decode: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="JPEGs of a worker on a GPU; auto: on the GPU where the sample's answer stays the same",
    )


class ImageClassificationOptions(DecodeOptions, ClassificationOptions):
    embedding: str | None = Field(
        default=None,
        min_length=1,
        description="the layer whose output, averaged over its positions, `embedding=true` returns; the artifact's own",
    )
    features: dict[str, Literal["map", "pooled"]] = Field(
        default_factory=dict,
        max_length=16,
        description="layers that a request can ask for, each as it is, map, or averaged over its positions, pooled",
    )
    threshold: Fraction = Field(default=0.5, description=APPLIES)


class ImageEmbeddingOptions(DecodeOptions):
    embedding: str | None = Field(
        default=None, min_length=1, description="the layer whose output is the embedding; the artifact's own"
    )
    pooling: Literal["model", "first", "mean"] = Field(
        default="model", description="the model's own vector, its first token's last state, or the mean of all tokens'"
    )
    normalise: bool = Field(default=True, description="to length 1, for requests that do not say otherwise")


class ZeroShotOptions(DecodeOptions, ClassificationOptions):
    template: str = Field(
        default="This is a photo of {}.", min_length=1, description="what a label becomes before the model reads it"
    )
    label_sets: Count = Field(default=100, description="that a worker remembers, the least recently used forgotten")


class DetectionOptions(DecodeOptions):
    score_threshold: Fraction = Field(default=0.5, description="detections below it are left out")
    max_detections: Annotated[int, Field(ge=1, le=1000)] = Field(default=100, description="in one answer, best first")


class SegmentationOptions(DecodeOptions):
    min_area: Count = Field(default=1, description="pixels; smaller segments are left out")


class PolicyOptions(StrictModel):
    deterministic: bool = Field(default=True, description="the most probable action, not a drawn one")
