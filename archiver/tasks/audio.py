"""The tasks on recordings."""

from __future__ import annotations

from archiver.tasks.limits import AudioLimits, SpeechRecognitionLimits
from archiver.tasks.options import (
    AudioClassificationOptions,
    SpeechRecognitionOptions,
    VoiceActivityOptions,
    WindowOptions,
)
from archiver.tasks.task import CLASSES, JSON, STREAM, TOP_K, Task

RECORDINGS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", JSON)
WINDOW = {"start": "number: seconds", "end": "number: seconds", **CLASSES["predictions"][0]}
TIMES = {"start": "number: seconds", "end": "number: seconds"}
RECORDING = {
    "sample_rate": "integer: Hz, of a JSON list of samples",
    "features": "string: some of rms, zero-crossing, mel, mfcc, centroid, rolloff, chroma, with commas",
}
VOICE = {
    "threshold": "number from 0 to 1",
    **dict.fromkeys(("min_speech_seconds", "min_silence_seconds", "pad_seconds"), "number: seconds"),
}
FEATURES = {"features": "where asked for: {hop_seconds, and for each its numbers by frame}"}
ADDITIONS = {"silent": "true, where there is nothing to hear", **FEATURES}
RECOGNITION = {
    "timestamps": "string: none, word or, of Whisper, segment",
    "language": "string: code or English name, or auto; of a model that knows several",
    "task": "string: transcribe, or translate into English; of a model that knows several languages",
    "max_new_tokens": "integer: of the text of a window, by Whisper",
    **STREAM,
}
TIMED_TEXT = {"text": "string", **TIMES}

AUDIO: dict[str, Task] = {
    "audio-classification": Task(
        handler="handlers.audio.audio_classification.AudioClassification",
        limits=AudioLimits,
        options=AudioClassificationOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters={**TOP_K, **RECORDING},
        answer={**CLASSES, "windows": [WINDOW], **ADDITIONS},
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
        answer={"embedding": "numbers, of length 1 as a vector", **ADDITIONS},
        classes=False,
    ),
    "voice-activity": Task(
        handler="handlers.audio.voice_activity.VoiceActivity",
        limits=AudioLimits,
        options=VoiceActivityOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters={**RECORDING, **VOICE},
        answer={"segments": [TIMES], "speech_seconds": "number", "seconds": "number", **ADDITIONS},
        classes=False,
    ),
    "speech-recognition": Task(
        handler="handlers.audio.speech_recognition.SpeechRecognition",
        limits=SpeechRecognitionLimits,
        options=SpeechRecognitionOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON, "application/x-ndjson"),
        parameters={**RECORDING, **RECOGNITION},
        answer={
            "text": "string",
            "seconds": "number",
            "language": "string: code, where the model knows several",
            "words": [TIMED_TEXT],
            "segments": [TIMED_TEXT],
            "truncated": "true, where the limit on tokens ended the text of a window",
            **ADDITIONS,
        },
        classes=False,
    ),
}
