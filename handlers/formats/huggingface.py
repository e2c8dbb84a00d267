"""A folder written by save_pretrained: safetensors, a tokenizer or a feature extractor, and no code."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from handlers.formats import configuration, json_file, safetensors, zip_file
from handlers.formats.configuration import CODE_KEYS
from handlers.formats.errors import UnsafeFile
from handlers.formats.sharding import NUMBERED, check_shards, shards_of

MAX_JSON_BYTES = 128 << 20  # a tokenizer.json of a large vocabulary has 30 MB
MAX_CONFIG_BYTES = 8 << 20
MAX_GROWTH = 1000  # of a text by a tokenizer's replacements, most of which only mark spaces
MAX_TEMPLATE_BYTES = 256 << 10  # of a chat template; compiling one takes a minute per megabyte
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".h5", ".msgpack"}
CODE = {".py", ".pyc", ".so", ".dll", ".dylib", ".pyd"}
# Weights as safetensors, and the files of a tokenizer or a processor; no pickles, no code.
FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")
# The files among them that can name a class.
CONFIGURATIONS = {"config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"}
# Where sentence-transformers says how token vectors become one; only the mean is supported.
POOLING = "1_Pooling/config.json"
# Tasks whose input is tokens, and those for which a folder needs a tokenizer.
TEXTS = {"text-classification", "text-embedding", "token-classification", "question-answering", "text-generation"}
TOKENIZED = {*TEXTS, "speech-recognition", "zero-shot-image-classification"}
# Tasks whose input is an image that transformers' own processor prepares.
IMAGES = {"image-classification", "object-detection", "semantic-segmentation"}
# One of these holds a tokenizer's vocabulary; tokenizers of bytes or characters, known by their class, have none.
VOCABULARIES = {
    *("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "spm.model", "source.spm"),
    *("sentencepiece.bpe.model", "tekken.json", "bpe.codes", "vocab.bpe", "merges.txt"),
}
WITHOUT_VOCABULARY = {"ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer"}
WEIGHTS, INDEX, CONFIG, TOKENIZER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "tokenizer_config.json",
)
SUFFIX, ADAPTER = ".safetensors", "adapter_config.json"
PROCESSOR, NESTED_PROCESSOR = "preprocessor_config.json", "processor_config.json"


def check(folder: Path, task: str) -> None:
    """Raise UnsafeFile if the folder holds code or pickles, or lacks files that the task's model needs."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise UnsafeFile(f"{name} is a link that leads out of the folder")
        if not path.is_file():
            raise UnsafeFile(f"{name} is not a file")
        if path.suffix.lower() in CODE:
            raise UnsafeFile(f"{name} is code, which is not loaded; wanted a model that is part of transformers")
        if path.suffix.lower() in PICKLES:
            raise UnsafeFile(f"{name} is a pickle, which runs code when it is loaded; use safetensors")
        if path.suffix == ".json" and path.name not in VOCABULARIES:
            configuration.check(json_of(path, name), name)
        if path.suffix == ".jinja":
            check_template(path, name)
    names = {path.name for path in files if path.parent == folder}
    if ADAPTER in names or (CONFIG not in names and "adapter_model.safetensors" in names):
        raise UnsafeFile(
            "holds a LoRA adapter without its base model; merge them: model.merge_and_unload().save_pretrained(…)"
        )
    if CONFIG not in names:
        raise UnsafeFile("has no config.json; wanted a folder of save_pretrained")
    check_weights(folder, names)
    if task in TOKENIZED:
        check_tokenizer(folder, names)
    elif task in IMAGES:
        check_processor(folder, names)
    if task == "speech-recognition":
        check_recogniser(json_of(folder / CONFIG, CONFIG))


def check_template(path: Path, name: str) -> None:
    """Raise UnsafeFile if a chat template is too large or is not text; transformers checks whether it compiles."""
    try:
        if (size := path.stat().st_size) > MAX_TEMPLATE_BYTES:
            raise UnsafeFile(f"{name} has {size} bytes; wanted {MAX_TEMPLATE_BYTES} at most")
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeFile(f"{name} is not UTF-8: {error.reason}") from None
    except OSError as error:
        raise UnsafeFile(f"{name} cannot be read: {zip_file.reason(error)}") from None


def json_of(path: Path, name: str) -> Any:
    try:
        size = path.stat().st_size
        limit = MAX_CONFIG_BYTES if name in (CONFIG, TOKENIZER) else MAX_JSON_BYTES
        if size > limit:
            raise UnsafeFile(f"{name} has {size} bytes; wanted {limit} at most")
        return json_file.loads(path.read_bytes(), name)
    except OSError as error:
        raise UnsafeFile(f"{name} cannot be read: {zip_file.reason(error)}") from None


def check_weights(folder: Path, names: set[str]) -> None:
    """Raise UnsafeFile if weights are missing, or are not where the index says."""
    loaded = weights_of(folder, names)
    headers = {name: header_of(folder, name) for name in sorted(names) if name.endswith(SUFFIX)}
    if INDEX in names:
        check_shards(loaded, headers, lambda name: headers[name], INDEX)
        if WEIGHTS in names and WEIGHTS not in loaded:
            raise UnsafeFile(f"has both {WEIGHTS} and {INDEX}; delete the one that is out of date")


def weights_of(folder: Path, names: Collection[str]) -> dict[str, set[str]]:
    """The files that transformers loads, each with the tensors that an index lists for it. Raises UnsafeFile if there
    are none. names: of the folder's files."""
    if INDEX in names:
        return shards_of(json_of(folder / INDEX, INDEX), INDEX, SUFFIX)
    if WEIGHTS not in names:
        shards = sorted(name for name in names if name.endswith(SUFFIX) and NUMBERED.search(name))
        if shards:
            raise UnsafeFile(f"has {shards[0]}, but no {INDEX}, which names the tensors of each; add it")
        raise UnsafeFile(f"has no {WEIGHTS}; wanted a folder of save_pretrained")
    return {WEIGHTS: set()}


def header_of(folder: Path, name: str) -> dict[str, tuple[int, ...]]:
    try:
        return safetensors.header(folder / name)
    except UnsafeFile as error:
        raise UnsafeFile(f"{name} {error}") from None


def check_tokenizer(folder: Path, names: set[str]) -> None:
    """Raise UnsafeFile if there is none: transformers would make up an empty one, to which all texts are the same."""
    settings = json_of(folder / TOKENIZER, TOKENIZER) if TOKENIZER in names else {}
    kind = settings.get("tokenizer_class") if isinstance(settings, dict) else None
    if not names & VOCABULARIES and not (isinstance(kind, str) and kind.removesuffix("Fast") in WITHOUT_VOCABULARY):
        raise UnsafeFile("has no tokenizer; add it: AutoTokenizer.from_pretrained(…).save_pretrained(the same folder)")


def check_tokens(tokenizer: Any) -> None:
    """Raise UnsafeFile if transformers' tokenizer has only special tokens: its vocabulary was empty, or is partly
    missing, and all texts of one length are the same to it."""
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise UnsafeFile(
            f"has a tokenizer of {len(tokenizer)} tokens, all of them special; save it again: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(the same folder)"
        )


def check_processor(folder: Path, names: set[str]) -> None:
    """Raise UnsafeFile unless the folder says how an image becomes the model's input."""
    nested = json_of(folder / NESTED_PROCESSOR, NESTED_PROCESSOR) if NESTED_PROCESSOR in names else {}
    if PROCESSOR not in names and not (isinstance(nested, dict) and nested.get("image_processor")):
        raise UnsafeFile(
            f"has no {PROCESSOR}; add it: AutoImageProcessor.from_pretrained(…).save_pretrained(the same folder)"
        )


def check_recogniser(config: Any) -> None:
    """Raise UnsafeFile unless it is one of the two kinds: transformers would give any other random weights."""
    listed = config.get("architectures") if isinstance(config, dict) else None
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    if not any(name.endswith("ForCTC") or name == "WhisperForConditionalGeneration" for name in names):
        got = ", ".join(names)[:80] or "nothing"
        raise UnsafeFile(
            f"config.json: architectures: wanted a CTC model or WhisperForConditionalGeneration; got {got}"
        )


def check_vocabulary(folder: Path) -> None:
    """Raise UnsafeFile if the tokenizer has tokens that the model does not know. Reads all of tokenizer.json."""
    known = vocabulary(json_of(folder / CONFIG, CONFIG))
    if known is None or not (folder / "tokenizer.json").is_file():
        return
    values = json_of(folder / "tokenizer.json", "tokenizer.json")
    check_growth(values.get("normalizer") if isinstance(values, dict) else None)
    try:
        tokens = values["model"]["vocab"]
        ids = list(tokens.values()) if isinstance(tokens, dict) else list(range(len(tokens)))
        ids += [token["id"] for token in values.get("added_tokens") or []]
        highest = max(ids, default=0)
    except (KeyError, TypeError, AttributeError):
        raise UnsafeFile("tokenizer.json: wanted model.vocab and added_tokens") from None
    if highest >= known:
        raise UnsafeFile(f"its tokenizer has {highest + 1} tokens; the model knows {known} (config.json, vocab_size)")


def check_growth(normalizer: Any) -> None:
    """Raise UnsafeFile if a tokenizer's replacements make a text far longer: each may apply to the others' output."""
    values = [normalizer, *(value for _, value in json_file.walk(normalizer))]
    values += [item for value in values if isinstance(value, list) for item in value]
    contents = [value.get("content") for value in values if isinstance(value, dict) and value.get("type") == "Replace"]
    growth = math.prod(max(1, len(content)) for content in contents if isinstance(content, str))
    if growth > MAX_GROWTH:
        raise UnsafeFile(
            f"tokenizer.json: normalizer: its replacements can make a text more than {MAX_GROWTH} times as long"
        )


def vocabulary(config: Any) -> int | None:
    """The number of tokens that the model of a config.json knows; None if it does not say."""
    parts = [config, *(config.get(name) for name in ("text_config", "encoder"))] if isinstance(config, dict) else []
    sizes = [part.get("vocab_size") for part in parts if isinstance(part, dict)]
    return next((size for size in sizes if isinstance(size, int)), None)


def without_code(config: Any) -> Any:
    """A configuration without the names of classes that only a hub has; transformers' own are loaded instead."""
    return {key: value for key, value in config.items() if key not in CODE_KEYS} if isinstance(config, dict) else config


def pooling_mode(pooling: dict[str, Any]) -> str:
    """The mode that a POOLING file names. Older versions have a flag per mode, newer ones the mode's name."""
    return str(pooling.get("pooling_mode", "mean" if pooling.get("pooling_mode_mean_tokens") else "another"))
