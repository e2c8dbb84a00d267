"""Hugging Face folders of models for recordings and for texts, beside transformers itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertForSequenceClassification,
    pipeline,
)

from tests import tiny_audio, tiny_networks, tiny_speech, tiny_texts
from tests.archiver.formats_page.case import (
    SAMPLES,
    WAV,
    Answer,
    Case,
    Made,
    Request,
    best,
    embedding,
    ranked,
    top,
    unit,
)
from tests.tiny_texts import LINES

QUESTION = "Where was she born?"
MAX_NEW_TOKENS = 12


def as_text(text: str, **parameters: str) -> Request:
    return Request(text.encode(), "text/plain", parameters)


def quoted(text: str) -> str:
    """Its beginning, as a table of Markdown can hold it."""
    plain = text.strip()[:24].encode("ascii", "replace").decode()
    return f"`{plain.replace('|', '?').replace('`', '?')}`"


def said(answer: Answer) -> str:
    return quoted(answer["text"])


def found(write: Callable[[Path], Path], part: str, ask: Callable[[Path], str]) -> Made:
    """write: an artifact into a folder, with the model's own folder beside it, which is called `part`."""

    def make(root: Path) -> Callable[[], str]:
        write(root / "artifact")
        (root / part).rename(root / "FOLDER")
        return lambda: ask(root / "FOLDER")

    return make


def by_pipeline(task: str, sent: Any, read: Callable[[Any], str], **options: Any) -> Callable[[Path], str]:
    return lambda path: read(pipeline(task, model=str(path), **options)(sent))  # type: ignore[call-overload]


def mean_over_time(path: Path) -> str:
    inputs = AutoFeatureExtractor.from_pretrained(path)(SAMPLES, sampling_rate=16_000, return_tensors="pt")
    states: torch.Tensor = AutoModel.from_pretrained(path).eval()(**inputs).last_hidden_state
    return unit(states.mean(1).numpy())


def mean_of_tokens(path: Path) -> str:
    inputs = AutoTokenizer.from_pretrained(path)(LINES[0], return_tensors="pt")
    states: torch.Tensor = AutoModel.from_pretrained(path).eval()(**inputs).last_hidden_state
    return unit(states.mean(1).numpy())


def classes(labels: list[str], problem: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tokenizer, weights = tiny_texts.word_pieces(), folder.with_name("weights")
        torch.manual_seed(0)
        configuration = tiny_texts.bert(len(tokenizer), problem_type=problem, **tiny_texts.named(labels))
        BertForSequenceClassification(configuration).save_pretrained(weights)
        tokenizer.save_pretrained(weights)
        return folder

    return write


def entity(label: str, text: str, score: float) -> str:
    return f"{label}: {text} {score:.3f}"


def first_entity(entities: list[dict[str, Any]]) -> str:
    first = next(each for each in entities if each["entity_group"] != "O")
    return entity(first["entity_group"], LINES[1][first["start"] : first["end"]], first["score"])


def span(path: Path) -> str:
    """The best of all pairs of a first and a last token of the context, at most thirty apart."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    encoded = tokenizer(QUESTION, LINES[1], return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")[0].tolist()
    inside = [index for index, part in enumerate(encoded.sequence_ids()) if part == 1]
    output = AutoModelForQuestionAnswering.from_pretrained(path).eval()(**encoded)
    begin, end = (logits[0, inside].softmax(0) for logits in (output.start_logits, output.end_logits))
    scores = torch.outer(begin, end).triu().tril(29)
    first, last = divmod(int(scores.argmax()), len(inside))
    text = LINES[1][offsets[inside[first]][0] : offsets[inside[last]][1]]
    return f"{quoted(text)} {float(scores.max()):.3f}"


def written(path: Path) -> str:
    tokenizer = AutoTokenizer.from_pretrained(path)
    inputs = tokenizer(LINES[2], return_tensors="pt")
    model: Any = AutoModelForCausalLM.from_pretrained(path).eval()
    tokens = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)[0, inputs["input_ids"].shape[1] :]
    return quoted(str(tokenizer.decode(tokens, skip_special_tokens=True)))


def row(model: str, task: str, make: Made, read: Callable[[Answer], str], request: Request) -> Case:
    return Case(f"Hugging Face folder, {model}", task, "FOLDER", "transformers", make, read, request)


def classifier(model: str, write: Callable[[Path], Path], read: Callable[[Answer], str]) -> Case:
    task = "text-classification"
    return row(model, task, found(write, "weights", by_pipeline(task, LINES[0], ranked)), read, as_text(LINES[0]))


def waveforms(save: Callable[[torch.nn.Module, Path], None], name: str) -> Made:
    """A network of windows of a second, with the recording in the middle."""

    def make(root: Path) -> Callable[[], str]:
        torch.manual_seed(0)
        network = tiny_networks.Waveform(len(WORDS)).eval()
        with torch.no_grad():
            network.head.weight.mul_(10)
        save(network, root / name)
        (root / "labels.txt").write_text("\n".join(WORDS) + "\n")
        window = torch.zeros(1, 16_000)
        start = (window.shape[1] - len(SAMPLES)) // 2
        window[0, start : start + len(SAMPLES)] = torch.from_numpy(SAMPLES)
        return lambda: top(WORDS, network(window).softmax(1)[0])

    return make


def to_script(network: torch.nn.Module, path: Path) -> None:
    torch.jit.script(network).save(path)


def to_onnx(network: torch.nn.Module, path: Path) -> None:
    names: dict[str, Any] = {"input_names": ["waveforms"], "output_names": ["logits"], "dynamo": False}
    sizes = {"waveforms": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(network, (torch.zeros(1, 16_000),), path, opset_version=17, dynamic_axes=sizes, **names)


WORDS = ["up", "down", "left"]
SPOKEN, CLASSIFY, TOKENS = "automatic-speech-recognition", "audio-classification", "token-classification"
HEARD = by_pipeline(SPOKEN, SAMPLES, said)
# Of the tiny model's 64 positions; by itself the pipeline would ask for 256.
WRITTEN_DOWN = by_pipeline(SPOKEN, SAMPLES, said, generate_kwargs={"num_beams": 1, "max_new_tokens": 60})
ENTITIES = by_pipeline(TOKENS, LINES[1], first_entity, aggregation_strategy="simple")
ASKED = Request(json.dumps({"question": QUESTION, "context": LINES[1]}).encode(), "application/json")
CASES = [
    row(
        "wav2vec2", CLASSIFY, found(tiny_audio.commands, "wav2vec2", by_pipeline(CLASSIFY, SAMPLES, ranked)), best, WAV
    ),
    Case(
        "TorchScript",
        CLASSIFY,
        f"weights.pt --task {CLASSIFY}",
        "torch",
        waveforms(to_script, "weights.pt"),
        best,
        WAV,
    ),
    Case(
        "ONNX, a classifier",
        CLASSIFY,
        f"weights.onnx --task {CLASSIFY}",
        "torch",
        waveforms(to_onnx, "weights.onnx"),
        best,
        WAV,
    ),
    row("wav2vec2", "audio-embedding", found(tiny_audio.sound, "wav2vec2", mean_over_time), embedding, WAV),
    row("wav2vec2 with CTC", "speech-recognition", found(tiny_speech.letters, "ctc", HEARD), said, WAV),
    row("Whisper", "speech-recognition", found(tiny_speech.english, "whisper", WRITTEN_DOWN), said, WAV),
    classifier("BERT", classes(tiny_texts.TOPICS, "single_label_classification"), best),
    classifier("BERT of several labels", classes(tiny_texts.TOPICS, "multi_label_classification"), best),
    classifier("BERT, a regression", classes(["stars"], "regression"), lambda answer: ranked(answer["predictions"])),
    row("BERT", "text-embedding", found(tiny_texts.embedding, "weights", mean_of_tokens), embedding, as_text(LINES[0])),
    row(
        "BERT",
        TOKENS,
        found(tiny_texts.entities, "weights", ENTITIES),
        lambda a: entity(*(a["entities"][0][key] for key in ("label", "text", "score"))),
        as_text(LINES[1]),
    ),
    row(
        "BERT",
        "question-answering",
        found(tiny_texts.answers, "weights", span),
        lambda a: f"{quoted(a['answers'][0]['text'])} {a['answers'][0]['score']:.3f}",
        ASKED,
    ),
    row(
        "Llama",
        "text-generation",
        found(tiny_texts.writer, "weights", written),
        said,
        as_text(LINES[2], max_new_tokens=str(MAX_NEW_TOKENS)),
    ),
]
