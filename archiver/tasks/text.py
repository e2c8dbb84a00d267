"""The tasks on texts."""

from __future__ import annotations

from archiver.tasks.limits import TextGenerationLimits, TextLimits
from archiver.tasks.options import NoOptions, QuestionAnsweringOptions, TextClassificationOptions, TextGenerationOptions
from archiver.tasks.task import APPLICABLE, CLASSES, JSON, STREAM, THRESHOLD, TOP_K, Task

TEXTS = ("text/plain", JSON)
TRUNCATION = {"truncated": "true, where the text was", "tokens": {"read": "integer", "sent": "integer"}}
GENERATED = {"read": "integer", "written": "integer", "sent": "integer, where the text was truncated"}
SPAN = {"text": "string", "start": "integer: character", "end": "integer: character", "score": "number"}
GENERATION = {
    "max_new_tokens": "integer",
    "temperature": "number from 0 to 10; 0 for the most probable token",
    "top_p": "number from 0 to 1",
    "seed": "integer, of drawn tokens",
    "stop": "string or list of strings that end the text",
    "chat": "boolean: the text is a turn of a user",
    "truncate": "boolean: a prompt that is too long loses its beginning; false refuses it",
    **STREAM,
}
FINISH_REASON = "eos_token, stop_sequence, length or time_limit"

TEXT: dict[str, Task] = {
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
            **APPLICABLE,
            "score": "number: of a regression, instead of the probability",
            **TRUNCATION,
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
        answer={"embedding": "numbers, of length 1 as a vector", **TRUNCATION},
        graph=True,
        classes=False,
    ),
    "token-classification": Task(
        handler="handlers.text.token_classification.TokenClassification",
        limits=TextLimits,
        options=NoOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON,),
        parameters={},
        answer={"entities": [{"label": "string", **SPAN}], **TRUNCATION},
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
        answer={"answers": [SPAN], **TRUNCATION},
        graph=True,
        classes=False,
    ),
    "text-generation": Task(
        handler="handlers.text.text_generation.TextGeneration",
        limits=TextGenerationLimits,
        options=TextGenerationOptions,
        content_types=TEXTS,
        field="text",
        accept=(JSON, "application/x-ndjson"),
        parameters=GENERATION,
        answer={"text": "string", "finish_reason": FINISH_REASON, **TRUNCATION, "tokens": GENERATED},
        classes=False,
    ),
}
