"""`system: language-id`: which language a text is in, by a small transformer over its subwords."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.metrics import ConfusionMatrixDisplay, classification_report, f1_score
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    DataCollatorWithPadding,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils.logging import disable_progress_bar

from train.core.artifact import Artifact
from train.core.experiment import Experiment
from train.core.progress import StepProgress
from train.core.stored_weights import round_weights
from train.demo.language_id.message_catalogues import Sentence, sentences
from train.demo.language_id.non_linguistic import NO_LANGUAGE, date, emoji, non_linguistic_text, number
from train.text.subwords import as_pretrained, learn_subwords

# Languages with enough translated sentences; of pairs that differ in a few words only (nb and nn, hr and sr and bs, id
# and ms) at most one is in.
LANGUAGES = "ar bg cs da de el en es et fa fi fr he hi hu id it ja ko lt lv nl pl pt ro ru sl sv th tr uk vi zh"
MINIMUM_LETTERS = 16
SHORTEST = 12  # bytes of a training text: a word or two
LENGTHS = (8, 16, 32)  # bytes of the held-out texts' beginnings that are scored as well
TEST_SHARE = 0.15


class Excerpts(Dataset[dict[str, list[int]]]):
    """Training texts, other ones at every index: a sentence, or some run together, cut to at most `length` bytes, at
    times to a few words, in other letter case, or with a number in it. Languages are equally frequent, however many
    sentences each has; the label after the last of them is that of texts without words."""

    def __init__(
        self, texts: dict[int, list[str]], tokenizer: PreTrainedTokenizerFast, count: int, length: int, seed: int
    ) -> None:
        self.texts = texts
        self.count = count
        self.length = length
        self.seed = seed
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        chance = random.Random(f"{self.seed} {index}")
        label = chance.randrange(len(self.texts) + 1)
        if label == len(self.texts):
            return {"input_ids": self.tokenizer(non_linguistic_text(chance))["input_ids"], "labels": label}
        text = chance.choice(self.texts[label])
        while len(text.encode()) < self.length and chance.random() < 0.5:
            text += " " + chance.choice(self.texts[label])
        text = chance.choices([text, text.lower(), text.upper(), text.title()], [70, 20, 5, 5])[0]
        length = self.length if chance.random() < 0.7 else chance.randint(SHORTEST, self.length)
        text = excerpt(text, length, chance)
        if chance.random() < 0.15:
            words = text.split(" ")
            words.insert(chance.randint(0, len(words)), chance.choice((number, date, emoji))(chance))
            text = " ".join(words)
        return {"input_ids": self.tokenizer(text)["input_ids"], "labels": label}


def start(text: str, length: int) -> str:
    """The first `length` bytes of a text, or a character more, so that something is left of any."""
    return text.encode()[:length].decode(errors="ignore") or text[0]


def excerpt(text: str, length: int, chance: random.Random) -> str:
    """A piece of at most `length` bytes, from the start of a word where there are words."""
    data = text.encode()
    if len(data) <= length:
        return text
    start = chance.randrange(len(data) - length + 1)
    space = data.find(b" ", start, start + length // 2)
    start = space + 1 if start and space >= 0 else start
    return data[start : start + length].decode(errors="ignore")


class LanguageId(Experiment):
    """train_bytes: length of training texts. max_length: subwords the served model reads.

    vocabulary: number of subwords; dropout: see `learn_subwords`. hidden, layers: of the transformer. Attention is
    local, `window` subwords wide: a few words tell a language.
    """

    languages: tuple[str, ...] = tuple(LANGUAGES.split())
    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 3e-3
    vocabulary: int = 8000
    dropout: float = 0.2
    hidden: int = 128
    layers: int = 1
    window: int = 16
    train_bytes: int = 64
    max_length: int = 256

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        set_seed(self.seed)
        training, held_out = split(sentences(self.languages, MINIMUM_LETTERS))
        texts: dict[int, list[str]] = defaultdict(list)
        for sentence in training:
            texts[self.languages.index(sentence.language)].append(sentence.text)
        subwords = learn_subwords((sentence.text for sentence in training), self.vocabulary, self.dropout)
        tokenizer = as_pretrained(subwords, self.max_length)
        excerpts = Excerpts(dict(texts), tokenizer, self.steps * self.batch_size, self.train_bytes, self.seed)
        print(f"{self.name}: {len(training)} sentences in {len(self.languages)} languages, {len(held_out)} held out")
        model = self.network(len(tokenizer))
        with TemporaryDirectory() as temporary:
            arguments = TrainingArguments(
                output_dir=f"{temporary}/trainer",
                max_steps=self.steps,
                per_device_train_batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=self.steps // 20,
                weight_decay=0.05,
                label_smoothing_factor=0.05,
                adam_beta2=0.98,
                seed=self.seed,
                save_strategy="no",
                report_to="none",
                logging_steps=25,
                disable_tqdm=True,
                dataloader_pin_memory=torch.cuda.is_available(),
                dataloader_num_workers=1,
                dataloader_prefetch_factor=8,
            )
            collator = DataCollatorWithPadding(tokenizer)
            trainer = Trainer(model, arguments, train_dataset=excerpts, data_collator=collator)
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(StepProgress(self.name))
            trainer.train()
            model = model.cpu().eval()
            subwords.model.dropout = None
            tokenizer = as_pretrained(subwords, self.max_length)
            round_weights(model, self.stored_weights)
            metrics, truth, found = self.measure(model, tokenizer, held_out)
            weights = Path(temporary, "weights")
            disable_progress_bar()
            (model.half() if self.stored_weights else model).save_pretrained(weights)
            tokenizer.save_pretrained(weights)
            sample = Path(temporary, "sample.txt")
            language = "fr" if "fr" in self.languages else self.languages[0]
            text = max((s.text for s in held_out if s.language == language), key=len)
            sample.write_text(text[:120], encoding="utf-8")
            confusion = Path(temporary, "confusion.png")
            plot(truth, found, self.labels, confusion)
            Artifact(
                name=self.name,
                experiment=self,
                task="text-classification",
                format="huggingface",
                labels=self.labels,
                preprocessing={"max_length": self.max_length},
                metrics=metrics,
                training={
                    "data": "sentences of Django's translated message catalogues",
                    "held out": "messages whose translations into any language were not in training",
                    **self.model_dump(exclude={"name", "system", "languages"}),
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample, [confusion])

    def evaluate(self, folder: Path) -> dict[str, Any]:
        weights = folder / "weights"
        disable_progress_bar()
        model = ModernBertForSequenceClassification.from_pretrained(weights, dtype=torch.float32)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(weights)
        _, held_out = split(sentences(self.languages, MINIMUM_LETTERS))
        return self.measure(model.eval(), tokenizer, held_out)[0]

    def measure(
        self, model: ModernBertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, held_out: list[Sentence]
    ) -> tuple[dict[str, Any], list[int], list[int]]:
        """The metrics on the sentences held out; the true and the found labels."""
        unseen = [sentence.text for sentence in held_out]
        truth = [self.languages.index(sentence.language) for sentence in held_out]
        chance = random.Random("held out")
        without_words = [non_linguistic_text(chance) for _ in range(1000)]
        found = classify(model, tokenizer, unseen)
        metrics = self.scores(truth, found) | {
            "macro F1 of the first bytes": {
                str(length): self.macro_f1(truth, classify(model, tokenizer, [start(t, length) for t in unseen]))
                for length in LENGTHS
            },
            "recall of texts without words": round(
                float(np.mean(np.equal(classify(model, tokenizer, without_words), len(self.languages)))), 4
            ),
        }
        print(f"{self.name}: macro F1 {metrics['macro F1']}, accuracy {metrics['accuracy']} on unseen sentences")
        return metrics, truth, found

    @property
    def labels(self) -> list[str]:
        """The languages, and that a text has no words in any."""
        return [*self.languages, NO_LANGUAGE]

    def network(self, vocabulary: int) -> ModernBertForSequenceClassification:
        labels = dict(enumerate(self.labels))
        return ModernBertForSequenceClassification(
            ModernBertConfig(
                vocab_size=vocabulary,
                hidden_size=self.hidden,
                intermediate_size=2 * self.hidden,
                num_hidden_layers=self.layers,
                num_attention_heads=self.hidden // 32,
                max_position_embeddings=self.max_length,
                local_attention=self.window,
                layer_types=["sliding_attention"] * self.layers,
                classifier_pooling="mean",
                pad_token_id=0,
                eos_token_id=None,
                sep_token_id=None,
                bos_token_id=None,
                cls_token_id=None,
                embedding_dropout=0.1,
                classifier_dropout=0.1,
                initializer_range=0.05,
                initializer_cutoff_factor=3.0,
                id2label=labels,
                label2id={label: index for index, label in labels.items()},
            )
        )

    def scores(self, truth: list[int], found: list[int]) -> dict[str, Any]:
        report = classification_report(
            truth,
            found,
            labels=range(len(self.languages)),
            target_names=list(self.languages),
            output_dict=True,
            zero_division=0,
        )
        per_language = {
            language: {name: round(float(report[language][name]), 3) for name in ("precision", "recall", "f1-score")}
            for language in self.languages
        }
        return {
            "macro F1": round(float(report["macro avg"]["f1-score"]), 4),
            "accuracy": round(float(np.mean(np.equal(truth, found))), 4),
            "languages": len(self.languages),
            "sentences": len(truth),
            "by language": per_language,
        }

    def macro_f1(self, truth: list[int], found: list[int]) -> float:
        languages = range(len(self.languages))
        return round(float(f1_score(truth, found, labels=languages, average="macro", zero_division=0)), 4)


def split(found: Sequence[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """Training and held-out sentences, no message in both in whatever language; the same for every seed."""
    groups = [sentence.message for sentence in found]
    training, held_out = next(GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=0).split(found, groups=groups))
    return [found[i] for i in training], [found[i] for i in held_out]


@torch.inference_mode()
def classify(
    model: ModernBertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> list[int]:
    """The most probable class of each text; texts of like length share a batch."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index].encode()))
    found = [0] * len(texts)
    for start in range(0, len(order), 128):
        chosen = order[start : start + 128]
        batch = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, return_tensors="pt")
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        for index, label in zip(chosen, logits.argmax(dim=1).tolist(), strict=True):
            found[index] = label
    return found


def plot(truth: list[int], found: list[int], labels: list[str], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(12, 11))
    ConfusionMatrixDisplay.from_predictions(
        truth, found, labels=range(len(labels)), display_labels=labels, ax=axes, include_values=False
    )
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
