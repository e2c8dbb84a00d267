"""The tasks: each one's handler, options, limits and responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from archiver.config import StrictModel
from archiver.limits import (
    AudioLimits,
    ClassificationLimits,
    DepthLimits,
    ImageLimits,
    Limits,
    SpeechRecognitionLimits,
    TensorLimits,
    TextGenerationLimits,
    TextLimits,
    ZeroShotLimits,
)
from archiver.options import (
    AudioClassificationOptions,
    DetectionOptions,
    ImageClassificationOptions,
    ImageEmbeddingOptions,
    NoOptions,
    PolicyOptions,
    QuestionAnsweringOptions,
    SegmentationOptions,
    SpeechRecognitionOptions,
    TextClassificationOptions,
    TextGenerationOptions,
    VoiceActivityOptions,
    WindowOptions,
    ZeroShotOptions,
)

TaskName = Literal[
    "image-classification",
    "image-embedding",
    "zero-shot-image-classification",
    "object-detection",
    "instance-segmentation",
    "semantic-segmentation",
    "keypoint-detection",
    "depth-estimation",
    "audio-classification",
    "audio-embedding",
    "voice-activity",
    "speech-recognition",
    "text-classification",
    "text-embedding",
    "token-classification",
    "question-answering",
    "text-generation",
    "policy",
]
# A name of one's own, for a handler of one's own.
OWN_TASK = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"


@dataclass(frozen=True)
class Task:
    """handler: its class in the packed `handlers` folder.

    For readers of the model card: content_types of a raw body; field of a form or JSON object that holds the data;
    accept, the media types an answer can have, the default first; parameters a request can set; answer, its shape.

    graph: whether the handler can write its model as an ONNX graph.
    """

    handler: str
    limits: type[StrictModel]
    options: type[StrictModel]
    content_types: tuple[str, ...]
    field: str
    accept: tuple[str, ...]
    parameters: dict[str, str]
    answer: dict[str, Any]
    graph: bool = False


JSON = "application/json"
PNG = "image/png"
IMAGES = ("image/jpeg", PNG, "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif", "image/heic", JSON)
TEXTS = ("text/plain", JSON)
RECORDINGS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", JSON)

TOP_K = {"top_k": "integer: classes in the answer"}
THRESHOLD = {"threshold": "number from 0 to 1, for multi-label models"}
THRESHOLDS = {"score_threshold": "number from 0 to 1", "max_detections": "integer"}

CLASSES = {"predictions": [{"label": "string", "probability": "number", "index": "integer"}]}
DETECTION = {"box": ["x1", "y1", "x2", "y2"], "label": "string", "score": "number", "index": "integer"}
KEYPOINT = {"name": "string", "x": "number", "y": "number", "score": "number"}
MASK = {"rle": {"size": ["height", "width"], "counts": "string"}, "area": "integer"}
APPLY = {"labels": ["string: the classes that apply, of a multi-label model"]}
CUT = {"truncated": "true, where the text was", "tokens": {"read": "integer", "sent": "integer"}}
SPAN = {"text": "string", "start": "integer: character", "end": "integer: character", "score": "number"}
PIECES = {
    "stream": "boolean: the answer in pieces, one JSON object a line; over gRPC StreamPredictions, the method's name"
}
WRITING = {
    "max_new_tokens": "integer",
    "temperature": "number from 0 to 10; 0 for the most probable token",
    "top_p": "number from 0 to 1",
    "seed": "integer, of drawn tokens",
    "stop": "string or list of strings that end the text",
    "chat": "boolean: the text is a turn of a user",
    **PIECES,
}
REASON = "eos_token, stop_sequence, length or time_limit"
WINDOW = {"start": "number: seconds", "end": "number: seconds", **CLASSES["predictions"][0]}
SPEECH = {"start": "number: seconds", "end": "number: seconds"}
RECORDING = {
    "sample_rate": "integer: Hz, of a JSON list of samples",
    "features": "string: some of rms, zero-crossing, mel, mfcc, centroid, rolloff, chroma, with commas",
}
VOICE = {
    "threshold": "number from 0 to 1",
    **dict.fromkeys(("min_speech_seconds", "min_silence_seconds", "pad_seconds"), "number: seconds"),
}
FEATURES = {"features": "where asked for: {hop_seconds, and for each its numbers by frame}"}
HEARING = {
    "timestamps": "string: none, word or, of Whisper, segment",
    "language": "string: code or English name, or auto; of a model that knows several",
    "task": "string: transcribe, or translate into English; of a model that knows several languages",
    "max_new_tokens": "integer: of the text of a window, by Whisper",
    **PIECES,
}
SPOKEN = {"text": "string", **SPEECH}
DEPTH = {
    "size": ["height", "width"],
    "kind": "metric, in metres, or relative",
    "nearer": "lower or higher: which numbers are nearer to the camera",
    **dict.fromkeys(("minimum", "maximum", "mean"), "number: of the depths"),
    **dict.fromkeys(("scale", "offset"), "number: depth = offset + scale × a number of the PNG"),
    "png": "where asked for: base64 of a 16-bit grey PNG of the image's size",
}
ACTION = {
    "action": "integer or numbers",
    "label": "string, of a discrete action that has one",
    "probabilities": "numbers, of discrete actions; a Q-network has none",
    "values": "numbers, of each discrete action, from a Q-network",
    "mean": "numbers, of continuous actions",
    "std": "numbers, of continuous actions",
    "value": "number: the discounted return expected from here; of a Q-network the highest of its values",
    "predictions": "where several observations came: one of these for each",
}

TASKS: dict[str, Task] = {
    "image-classification": Task(
        handler="handlers.vision.image_classification.ImageClassification",
        limits=ClassificationLimits,
        options=ImageClassificationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={
            **TOP_K,
            **THRESHOLD,
            "embedding": "boolean: the embedding layer's numbers as well",
            "features": "string: some of the layers of options.features, with commas",
        },
        answer={
            **CLASSES,
            **APPLY,
            "tasks": {"<task>": "instead of predictions, of a model with several: a list like it of each"},
            "embedding": "numbers, where asked for",
            "features": {"<layer>": "where asked for: its output, nested lists of numbers"},
        },
        graph=True,
    ),
    "image-embedding": Task(
        handler="handlers.vision.image_embedding.ImageEmbedding",
        limits=ImageLimits,
        options=ImageEmbeddingOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={"normalise": "boolean: to length 1"},
        answer={"embedding": "numbers"},
        graph=True,
    ),
    "zero-shot-image-classification": Task(
        handler="handlers.vision.zero_shot_classification.ZeroShotClassification",
        limits=ZeroShotLimits,
        options=ZeroShotOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={
            **TOP_K,
            "labels": "list of strings, or one with commas between them: the classes; by default the model's",
            "template": "string with {} where the label goes",
        },
        answer=CLASSES,
        graph=True,
    ),
    "object-detection": Task(
        handler="handlers.vision.object_detection.ObjectDetection",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"detections": [DETECTION]},
        graph=True,
    ),
    "instance-segmentation": Task(
        handler="handlers.vision.instance_segmentation.InstanceSegmentation",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"size": ["height", "width"], "segments": [{**DETECTION, **MASK}]},
        graph=True,
    ),
    "semantic-segmentation": Task(
        handler="handlers.vision.semantic_segmentation.SemanticSegmentation",
        limits=ImageLimits,
        options=SegmentationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters={"render": "string: overlay or label-map, of a PNG"},
        answer={"size": ["height", "width"], "segments": [{"label": "string", "index": "integer", **MASK}]},
        graph=True,
    ),
    "keypoint-detection": Task(
        handler="handlers.vision.keypoint_detection.KeypointDetection",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"detections": [{**DETECTION, "keypoints": [KEYPOINT]}]},
        graph=True,
    ),
    "depth-estimation": Task(
        handler="handlers.vision.depth_estimation.DepthEstimation",
        limits=DepthLimits,
        options=NoOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters={"map": "boolean: the PNG in the JSON answer as well"},
        answer=DEPTH,
        graph=True,
    ),
    "audio-classification": Task(
        handler="handlers.audio.audio_classification.AudioClassification",
        limits=AudioLimits,
        options=AudioClassificationOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters={**TOP_K, **RECORDING},
        answer={**CLASSES, "windows": [WINDOW], **FEATURES},
        graph=True,
    ),
    "audio-embedding": Task(
        handler="handlers.audio.audio_embedding.AudioEmbedding",
        limits=AudioLimits,
        options=WindowOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters=RECORDING,
        answer={"embedding": "numbers, of length 1 as a vector", **FEATURES},
    ),
    "voice-activity": Task(
        handler="handlers.audio.voice_activity.VoiceActivity",
        limits=AudioLimits,
        options=VoiceActivityOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters={**RECORDING, **VOICE},
        answer={"segments": [SPEECH], "speech_seconds": "number", "seconds": "number", **FEATURES},
    ),
    "speech-recognition": Task(
        handler="handlers.audio.speech_recognition.SpeechRecognition",
        limits=SpeechRecognitionLimits,
        options=SpeechRecognitionOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON, "application/x-ndjson"),
        parameters={**RECORDING, **HEARING},
        answer={
            "text": "string",
            "seconds": "number",
            "language": "string: code, where the model knows several",
            "words": [SPOKEN],
            "segments": [SPOKEN],
            "truncated": "true, where the limit on tokens ended the text of a window",
            **FEATURES,
        },
    ),
    "text-classification": Task(
        handler="handlers.text.text_classification.TextClassification",
        limits=TextLimits,
        options=TextClassificationOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON,),
        parameters={**TOP_K, **THRESHOLD},
        answer={
            **CLASSES,
            **APPLY,
            "score": "number: of a regression, instead of the probability",
            **CUT,
        },
        graph=True,
    ),
    "text-embedding": Task(
        handler="handlers.text.text_embedding.TextEmbedding",
        limits=TextLimits,
        options=NoOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON,),
        parameters={},
        answer={"embedding": "numbers, of length 1 as a vector", **CUT},
        graph=True,
    ),
    "token-classification": Task(
        handler="handlers.text.token_classification.TokenClassification",
        limits=TextLimits,
        options=NoOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON,),
        parameters={},
        answer={"entities": [{"label": "string", **SPAN}], **CUT},
        graph=True,
    ),
    "question-answering": Task(
        handler="handlers.text.question_answering.QuestionAnswering",
        limits=TextLimits,
        options=QuestionAnsweringOptions,
        content_types=TEXTS,
        field="context",
        accept=(JSON,),
        parameters={"question": "string", **TOP_K, "max_answer_tokens": "integer"},
        answer={"answers": [SPAN], **CUT},
        graph=True,
    ),
    "text-generation": Task(
        handler="handlers.text.text_generation.TextGeneration",
        limits=TextGenerationLimits,
        options=TextGenerationOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON, "application/x-ndjson"),
        parameters=WRITING,
        answer={"text": "string", "finish_reason": REASON, **CUT},
    ),
    "policy": Task(
        handler="handlers.policy.policy.Policy",
        limits=TensorLimits,
        options=PolicyOptions,
        content_types=(JSON,),
        field="data",
        accept=(JSON,),
        parameters={"deterministic": "boolean; a Q-network's is always true", "seed": "integer, of drawn actions"},
        answer=ACTION,
        graph=True,
    ),
}

# Of a name of one's own: what its handler reads and answers is known to it alone.
OWN = Task(
    handler="",
    limits=Limits,
    options=NoOptions,
    content_types=tuple(dict.fromkeys((*IMAGES, *TEXTS, *RECORDINGS))),
    field="data",
    accept=(JSON,),
    parameters={},
    answer={},
)


def task_of(name: str) -> Task:
    return TASKS.get(name, OWN)
