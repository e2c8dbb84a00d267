"""Tiny speech recognisers with random weights: CTC with and without a mask for padding, Whisper of one language and of
several, with a tokenizer learned from a few lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from transformers import (
    GenerationConfig,
    HubertConfig,
    HubertForCTC,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from tests.tiny_audio import CONFIGURATION
from tests.tiny_texts import LINES
from train.export.huggingface import HuggingFace
from train.text.subwords import learn_subwords

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
SPEECH = {key: value for key, value in CONFIGURATION.items() if "label" not in key} | {"vocab_size": len(LETTERS)}
WINDOW = 2  # seconds that the tiny Whisper hears
LANGUAGES = ("en", "de", "fr", "ja")


def exported(folder: Path, source: Path, name: str, **settings: Any) -> Path:
    """Through the experiment that fetches a hub's repository, from a folder of `save_pretrained`."""
    HuggingFace(
        name=name,
        system="huggingface",
        repository=str(source),
        task="speech-recognition",
        sample="Yes, please.",
        **settings,
    ).run(folder)
    return folder


def ctc(folder: Path, model: PreTrainedModel, name: str, mask: bool) -> Path:
    source = folder.with_name("ctc")
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # as initialised its outputs hardly depend on its input
        model.get_parameter("lm_head.bias")[LETTERS.index("|")] += 2  # more words than one
    model.save_pretrained(source)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, return_attention_mask=mask).save_pretrained(source)
    vocabulary = source / "letters.json"
    vocabulary.write_text("{" + ", ".join(f'"{letter}": {n}' for n, letter in enumerate(LETTERS)) + "}")
    Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(source)
    vocabulary.unlink()
    return exported(folder, source, name, seconds=1.2)


def letters(folder: Path) -> Path:
    torch.manual_seed(0)
    return ctc(folder, Wav2Vec2ForCTC(Wav2Vec2Config(**SPEECH)), "tiny-letters", mask=False)


def masked_letters(folder: Path) -> Path:
    torch.manual_seed(1)
    configuration = HubertConfig(**SPEECH, feat_extract_norm="layer", do_stable_layer_norm=True)
    return ctc(folder, HubertForCTC(configuration), "tiny-masked", mask=True)


def whisper_tokenizer(languages: tuple[str, ...]) -> WhisperTokenizer:
    """Special tokens in the order of the published ones."""
    learned = json.loads(learn_subwords([line for line in LINES for _ in range(3)], 330).to_str())["model"]
    vocabulary = {token: n for n, token in enumerate(token for token in learned["vocab"] if token not in ("[PAD]",))}
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=[tuple(merge) for merge in learned["merges"]])
    tags = ["startoftranscript", *languages, "translate", "transcribe", "startoflm", "startofprev", "nospeech"]
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{tag}|>" for tag in [*tags, "notimestamps"]]})
    tokenizer.add_tokens([AddedToken(f"<|{n * 0.02:.2f}|>") for n in range(WINDOW * 50 + 1)])
    return tokenizer


def unused(tokenizer: WhisperTokenizer) -> list[int]:
    """Bytes that the lines do not have. Of those they have some are parts of characters."""
    known = {token for line in LINES for token in tokenizer.tokenize(line)}
    return [n for token, n in tokenizer.get_vocab().items() if len(token) == 1 and token not in known]


def whisper(folder: Path, name: str, languages: tuple[str, ...], seed: int) -> Path:
    source = folder.with_name("whisper")
    tokenizer = whisper_tokenizer(languages)
    token: Callable[[str], Any] = tokenizer.convert_tokens_to_ids
    end, start = token("<|endoftext|>"), token("<|startoftranscript|>")
    torch.manual_seed(seed)
    marks = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer),
            num_mel_bins=16,
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_source_positions=WINDOW * 50,
            max_target_positions=64,
            init_std=0.6,  # as initialised it would write one token for ever
            suppress_tokens=[],
            begin_suppress_tokens=[],
            **marks,
        )
    )
    with torch.no_grad():
        embedding = model.model.decoder.embed_tokens.weight
        embedding[end] *= 4  # so that texts end, sooner or later
        embedding[token("<|0.00|>") :] *= 0.7  # seldom a timestamp where none was asked for
    model.generation_config = GenerationConfig(
        is_multilingual=bool(languages),
        no_timestamps_token_id=token("<|notimestamps|>"),
        max_initial_timestamp_index=25,
        # A segment that ends where it begins is heard again by transformers for ever.
        suppress_tokens=[*unused(tokenizer), *tokenizer.all_special_ids[1:], token("<|0.00|>")],
        begin_suppress_tokens=[end],
        alignment_heads=[[0, 1], [1, 0], [1, 1]],
        **({"lang_to_id": {f"<|{code}|>": token(f"<|{code}|>") for code in languages}} if languages else {}),
        **({"task_to_id": {task: token(f"<|{task}|>") for task in ("transcribe", "translate")}} if languages else {}),
        **marks,
    )
    model.save_pretrained(source)
    tokenizer.save_pretrained(source)
    WhisperFeatureExtractor(feature_size=16, chunk_length=WINDOW).save_pretrained(source)
    return exported(folder, source, name)


def multilingual(folder: Path) -> Path:
    return whisper(folder, "tiny-whisper", LANGUAGES, 0)


def english(folder: Path) -> Path:
    return whisper(folder, "tiny-english", (), 1)
