"""Reads a folder written by save_pretrained, or a snapshot of a Hub repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archiver.new.findings import Findings, Setting, refused, wanted_task
from archiver.new.folders import pickled, tokenizer
from handlers.formats import configuration
from handlers.formats.configuration import MAX_COUNT, MAX_SHOWN
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import (
    CONFIG,
    CONFIGURATIONS,
    FILES,
    INDEX,
    NESTED_PROCESSOR,
    POOLING,
    PROCESSOR,
    SUFFIX,
    TEXTS,
    TOKENIZED,
    VOCABULARIES,
    check_processor,
    check_weights,
    json_of,
    pooling_mode,
    weights_of,
    without_code,
)
from handlers.formats.processor_transform import depth_preprocessing, image_preprocessing

# Image tasks whose preprocessing is converted to the project's transform; others use the folder's image processor.
TRANSFORMED = ("image-embedding", "zero-shot-image-classification", "depth-estimation")
# Possible tasks by the ending of an architecture's name.
HEADS = {
    "ForImageClassification": ("image-classification",),
    "ForImageClassificationWithTeacher": ("image-classification",),
    "ForObjectDetection": ("object-detection",),
    "ForSemanticSegmentation": ("semantic-segmentation",),
    "ForDepthEstimation": ("depth-estimation",),
    "ForUniversalSegmentation": ("semantic-segmentation",),
    "MaskFormerForInstanceSegmentation": ("semantic-segmentation",),
    "ForSequenceClassification": ("text-classification", "audio-classification"),
    "ForAudioClassification": ("audio-classification",),
    "ForTokenClassification": ("token-classification",),
    "ForQuestionAnswering": ("question-answering",),
    "ForCausalLM": ("text-generation",),
    "LMHeadModel": ("text-generation",),
    "ForCTC": ("speech-recognition",),
    "WhisperForConditionalGeneration": ("speech-recognition",),
    "VisionModelWithProjection": ("image-embedding",),
    "Model": ("zero-shot-image-classification", "image-embedding", "text-embedding", "audio-embedding"),
}
# Families whose classes end like those above: with a text beside each image, and with answers of no task.
PROMPTED = ("GroundingDino", "MMGroundingDino", "OwlViT", "Owlv2", "OmDetTurbo", "OneFormer")
OTHERS = ("Sam", "Encodec", "DecisionTransformer", "VisionEncoderDecoder", "SpeechEncoderDecoder")
LABELLED = {
    *("image-classification", "object-detection", "semantic-segmentation"),
    *("text-classification", "token-classification", "audio-classification"),
}
MAX_LENGTH, SECONDS = 512, 10.0


def read(path: Path, task: str | None, workspace: Path) -> Findings:
    """Read the folder. workspace: for files that are changed before they are packed."""
    try:
        for file in sorted(path.glob("*.json")):
            if file.is_file() and file.name not in VOCABULARIES:
                configuration.check(without_code(json_of(file, file.name)), file.name)
        return findings(path, task, workspace)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None


def findings(path: Path, task: str | None, workspace: Path) -> Findings:
    config = values(path, CONFIG)
    task = task_of(path, config, task)
    is_pickled = pickled.is_one(path)
    weights = pickled.converted(path, workspace) if is_pickled else weights_in(path)
    if task in TOKENIZED:
        tokenizer.check(path)
    mode = pooling_mode(values(path, POOLING)) if (path / POOLING).is_file() else "mean"
    if task == "text-embedding" and mode != "mean":
        raise refused(path, f"its {POOLING} pools by {mode}; wanted mean")
    labels = labels_of(config) if task in LABELLED else []
    return Findings(
        kind="a Hugging Face folder" + (" of pickled state dicts, read with weights_only" if is_pickled else ""),
        task=task,
        format="huggingface",
        weights="weights",
        files={**files_of(path, workspace), **{f"weights/{name}": file for name, file in weights.items()}},
        labels=labels,
        labels_from=f"{CONFIG}, id2label",
        settings=settings_of(path, task),
    )


def weights_in(path: Path) -> dict[str, Path]:
    """The safetensors files that transformers loads, and their index; other files are ignored."""
    names = {file.name for file in path.iterdir()}
    check_weights(path, names)
    loaded = weights_of(path, names)
    return {name: path / name for name in (*sorted(loaded), *({INDEX} & names))}


def values(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json_of(path / name, name)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    if not isinstance(found, dict):
        raise refused(path, f"{name}: wanted an object")
    return found


def task_of(path: Path, config: dict[str, Any], given: str | None) -> str:
    architectures = config.get("architectures") or []
    name = str(architectures[0])[:MAX_SHOWN] if isinstance(architectures, list) and architectures else ""
    if name.startswith(PROMPTED):
        raise refused(path, f"{CONFIG}: its architecture {name} needs a text with each image, which no task here has")
    possible = () if name.startswith(OTHERS) else next((HEADS[head] for head in HEADS if name.endswith(head)), ())
    if len(possible) > 1:
        possible = tuple(task for task in possible if task in of_inputs(path, config))
    if not possible:
        heads = ", ".join(dict.fromkeys(head for head in HEADS if head.startswith("For")))
        said = f"its architecture {name} is not served" if name else "it names no architecture"
        raise refused(path, f"{CONFIG}: {said}; wanted a model of transformers …{heads}")
    if given is None or given in possible:
        return given or possible[0]
    return wanted_task(path, given, possible, f"{CONFIG}: its architecture is {name}")


def of_inputs(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Possible tasks by the folder's preprocessing files: audio, images, or texts."""
    processor = values(path, PROCESSOR) if (path / PROCESSOR).is_file() else {}
    if not processor and (path / NESTED_PROCESSOR).is_file():
        nested = values(path, NESTED_PROCESSOR)
        inner = nested.get("image_processor") or nested.get("feature_extractor")
        processor = inner if isinstance(inner, dict) else {}
    if "sampling_rate" in processor:
        return ("audio-classification", "audio-embedding")
    if not processor:
        return tuple(TEXTS)
    # CLIP and SigLIP have a tower for each of the two that they compare.
    both = {"vision_config", "text_config"} <= config.keys()
    return ("zero-shot-image-classification", "image-embedding") if both else ("image-embedding",)


def labels_of(config: dict[str, Any]) -> list[str]:
    """The class names in order; transformers' default names, such as LABEL_0, if the folder has none.

    Raises UnsafeFile for a number that no class has.
    """
    names = config.get("id2label")
    if not isinstance(names, dict):
        count = config.get("num_labels", 2)
        return [f"LABEL_{index}" for index in range(count if isinstance(count, int) else 2)]
    # In some folders COCO's numbers have gaps: an output without a name is named by its number.
    numbers = [key for key in names if key.isdecimal()]
    if high := next((key for key in numbers if len(key) >= len(str(MAX_COUNT))), ""):
        raise UnsafeFile(f"{CONFIG}: id2label: names class {high[:MAX_SHOWN]}; wanted numbers below {MAX_COUNT}")
    highest = max(map(int, numbers), default=-1)
    return [str(names.get(str(index), f"LABEL_{index}")) for index in range(highest + 1)]


def settings_of(path: Path, task: str) -> list[Setting]:
    if task in TEXTS:
        length, other = {"max_length": MAX_LENGTH}, tokenizer.difference(path)
        comment = other or "tokens; the model's own limit applies as well"
        return [Setting("preprocessing", length, comment, certain=not other)]
    if task.startswith("audio-") or task == "speech-recognition":
        found = values(path, PROCESSOR) if (path / PROCESSOR).is_file() else {}
        # Whisper's windows have one length.
        windows = {"sample_rate": found.get("sampling_rate", 16_000), "seconds": found.get("chunk_length", SECONDS)}
        return [Setting("preprocessing", windows, f"{PROCESSOR}; longer recordings in windows of so many seconds")]
    if task in TRANSFORMED:
        translated = depth_preprocessing if task == "depth-estimation" else image_preprocessing
        check_processor(path, {file.name for file in path.iterdir()})
        found = translated(path)
        return [Setting("preprocessing", found, "its image processor, with which it was compared")]
    return []


def files_of(path: Path, workspace: Path) -> dict[str, Path]:
    """The files to pack besides the weights. References to custom Hub classes are removed from the settings, because
    transformers' own classes are loaded.
    """
    found = {
        f"weights/{file.name}": file
        for pattern in FILES
        for file in sorted(path.glob(pattern))
        if file.is_file() and not file.name.endswith((SUFFIX, ".index.json"))
    }
    for name, file in found.items():
        if file.name in CONFIGURATIONS:
            before = json_of(file, file.name)
            if (after := without_code(before)) != before:
                found[name] = workspace / file.name
                found[name].write_text(json.dumps(after, indent=2) + "\n", encoding="utf-8")
    return found
