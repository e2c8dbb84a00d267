"""A folder of save_pretrained: safetensors, a tokenizer or a feature extractor, and no code."""

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
MAX_GROWTH = 1000  # of a text by a tokenizer's replacements, which are a space's mark most of the time
MAX_TEMPLATE_BYTES = 256 << 10  # of a chat template, whose compilation takes a minute a megabyte
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".h5", ".msgpack"}
CODE = {".py", ".pyc", ".so", ".dll", ".dylib", ".pyd"}
# Weights as safetensors and what a tokenizer or a processor needs; no pickles, no code.
FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")
# Of those, the files that can name a class.
CONFIGURATIONS = {"config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"}
# Where sentence-transformers says how it makes one vector of a text's; ours is one way alone.
POOLING = "1_Pooling/config.json"
# Tasks whose input is tokens, and those for which a folder needs a tokenizer.
TEXTS = {"text-classification", "text-embedding", "token-classification", "question-answering", "text-generation"}
TOKENIZED = {*TEXTS, "speech-recognition", "zero-shot-image-classification"}
# Tasks whose input is an image that transformers' own processor prepares.
IMAGES = {"image-classification", "object-detection", "semantic-segmentation"}
# One of these is a tokenizer's vocabulary; a tokenizer of bytes or characters has none, and says so by its class.
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
    """UnsafeFile where the folder holds code or pickles, or lacks what the task's model needs."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise UnsafeFile(f"{name} is a link that leads out of the folder")
        if not path.is_file():
            raise UnsafeFile(f"{name} is not a file")
        if path.suffix.lower() in CODE:
            raise UnsafeFile(f"{name} is code, which is not loaded; wanted a model that transformers itself has")
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
    """UnsafeFile where a chat template is too large or no text; whether it can be compiled, transformers says."""
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
    """UnsafeFile where the weights are not all there, or not where they are said to be."""
    loaded = weights_of(folder, names)
    found = {name: header_of(folder, name) for name in sorted(names) if name.endswith(SUFFIX)}
    if INDEX in names:
        check_shards(loaded, found, lambda name: found[name], INDEX)
        if WEIGHTS in names and WEIGHTS not in loaded:
            raise UnsafeFile(f"has both {WEIGHTS} and {INDEX}; delete the one that is out of date")


def weights_of(folder: Path, names: Collection[str]) -> dict[str, set[str]]:
    """The files that transformers loads, each with its tensors as far as an index says them; UnsafeFile where there
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
    """That there is one: transformers makes an empty one up where it is missing, for which every text is the same."""
    settings = json_of(folder / TOKENIZER, TOKENIZER) if TOKENIZER in names else {}
    kind = settings.get("tokenizer_class") if isinstance(settings, dict) else None
    if not names & VOCABULARIES and not (isinstance(kind, str) and kind.removesuffix("Fast") in WITHOUT_VOCABULARY):
        raise UnsafeFile("has no tokenizer; add it: AutoTokenizer.from_pretrained(…).save_pretrained(the same folder)")


def check_tokens(tokenizer: Any) -> None:
    """UnsafeFile where transformers' tokenizer knows special tokens alone: its vocabulary was empty, or part of it is
    missing, and every text of one length is the same to it."""
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise UnsafeFile(
            f"has a tokenizer of {len(tokenizer)} tokens, all special ones; save it again: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(the same folder)"
        )


def check_processor(folder: Path, names: set[str]) -> None:
    """That the folder says how an image becomes the model's input."""
    nested = json_of(folder / NESTED_PROCESSOR, NESTED_PROCESSOR) if NESTED_PROCESSOR in names else {}
    if PROCESSOR not in names and not (isinstance(nested, dict) and nested.get("image_processor")):
        raise UnsafeFile(
            f"has no {PROCESSOR}; add it: AutoImageProcessor.from_pretrained(…).save_pretrained(the same folder)"
        )


def check_recogniser(config: Any) -> None:
    """That it is one of the two kinds: of another model transformers would make one with random weights."""
    found = config.get("architectures") if isinstance(config, dict) else None
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    if not any(name.endswith("ForCTC") or name == "WhisperForConditionalGeneration" for name in names):
        got = ", ".join(names)[:80] or "nothing"
        raise UnsafeFile(
            f"config.json: architectures: wanted a CTC model or WhisperForConditionalGeneration; got {got}"
        )


def check_vocabulary(folder: Path) -> None:
    """UnsafeFile where the tokenizer has tokens that the model does not know. It reads all of a tokenizer.json."""
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
    """UnsafeFile where a tokenizer's replacements make far more of a text: each may work on what the others wrote."""
    found = [normalizer, *(value for _, value in json_file.walk(normalizer))]
    found += [each for listed in found if isinstance(listed, list) for each in listed]
    contents = [each.get("content") for each in found if isinstance(each, dict) and each.get("type") == "Replace"]
    growth = math.prod(max(1, len(content)) for content in contents if isinstance(content, str))
    if growth > MAX_GROWTH:
        raise UnsafeFile(
            f"tokenizer.json: normalizer: its replacements can make a text more than {MAX_GROWTH} times as long"
        )


def vocabulary(config: Any) -> int | None:
    """How many tokens the model of a config.json knows; None where it does not say."""
    parts = [config, *(config.get(name) for name in ("text_config", "encoder"))] if isinstance(config, dict) else []
    sizes = [part.get("vocab_size") for part in parts if isinstance(part, dict)]
    return next((size for size in sizes if isinstance(size, int)), None)


def without_code(config: Any) -> Any:
    """A configuration without the names of classes that only a hub has: transformers' own is loaded instead."""
    return {key: value for key, value in config.items() if key not in CODE_KEYS} if isinstance(config, dict) else config


def pooling_mode(pooling: dict[str, Any]) -> str:
    """Of a POOLING file. Older versions have a flag for each mode, newer ones the mode's name."""
    return str(pooling.get("pooling_mode", "mean" if pooling.get("pooling_mode_mean_tokens") else "another"))
