"""`system: text-classification`: a text classifier, fine-tuned or trained from scratch, on the user's own data."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar as disable_datasets_progress
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny, WrapValidator, model_validator
from sklearn.metrics import confusion_matrix
from transformers import AutoTokenizer, set_seed
from transformers.utils.logging import disable_progress_bar as disable_transformers_progress

from train.core.artifact import Artifact
from train.core.experiment import Staged
from train.core.file_list import write_table
from train.core.generated_data import GeneratedData, by_source
from train.core.run import NothingValidated, Run, RunError, is_first_process
from train.core.stored_weights import round_weights
from train.plots.confusion import plot_confusion
from train.text.data import Example, TextData, Texts
from train.text.metrics import COLUMNS, by_class, by_group, decide, reference, scores
from train.text.model import Head, Scratch, model_of, tokenizer_of
from train.text.prediction import load_classifier, predict
from train.text.subwords import subword_dropout
from train.text.trainer import TextTrainer, check_checkpoint, last_checkpoint, relocate

BEST = "best"  # the folder of the best model, among the checkpoints
# A tokenizer takes 40 bytes for every character, and minutes for a word of a million. Tokens are hardly ever this long.
CHARACTERS_PER_TOKEN = 100
SAMPLE_CHARACTERS = 400  # at most


def file_or_section(value: Any) -> Any:
    """A validator: the name of a file or folder becomes a section with it."""
    return {"train": value} if isinstance(value, str) else value


# A user's own texts, or one of the project's generated data sets, such as {"source": "language-id"}.
if TYPE_CHECKING:
    TextSource = TextData | GeneratedData
else:
    TextSource = SerializeAsAny[Annotated[TextData, BeforeValidator(file_or_section), WrapValidator(by_source)]]


class TextClassification(Staged):
    """A text classifier, fine-tuned or trained from scratch."""

    data: TextSource = Field(description="a file or folder, or a section with files, columns and shares")
    model: str | Scratch = Field(
        default=Scratch(),
        description="a repository on the hub, a folder of `save_pretrained`, or the size of a model from scratch",
    )
    revision: str = Field(default="main", description="branch, tag or commit of the repository")
    head: Head = Field(
        default="auto",
        description="auto: the model's own; mean-pooling: a small perceptron on the mean of the tokens' hidden states",
    )
    max_length: int = Field(
        default=256,
        ge=8,
        le=1 << 17,
        description="maximum number of tokens; longer texts are truncated, in training and serving",
    )
    trainer: TextTrainer = TextTrainer()

    @model_validator(mode="after")
    def consistent(self) -> Self:
        if isinstance(self.data, TextData) and self.data.multi_label and self.trainer.label_smoothing:
            got = f"got {self.trainer.label_smoothing:g}"
            raise ValueError(f"trainer.label_smoothing: wanted 0 for a multi-label model; {got}")
        return self

    def fit(self, run: Run) -> None:
        started = time.monotonic()
        set_seed(self.seed)
        texts = self.files().read(self.seed)
        for note in texts.notes:
            print(note)
        last = last_checkpoint(run)
        if last is not None:
            check_checkpoint(last)
        if last is None:
            found = (example.text[: CHARACTERS_PER_TOKEN * self.max_length] for example in texts.train)
            tokenizer = tokenizer_of(self.model, self.revision, found, self.max_length)
        else:
            tokenizer = AutoTokenizer.from_pretrained(last, local_files_only=True, trust_remote_code=False)
        model = model_of(
            self.model, self.revision, self.head, tokenizer, texts.labels, texts.multi_label, self.max_length
        )
        print(
            f"{self.name}: {len(texts.train)} texts for training and {len(texts.validation)} for validation, "
            f"in {len(texts.labels)} classes"
        )
        with subword_dropout(tokenizer, self.model.subword_dropout if isinstance(self.model, Scratch) else 0.0):
            train = self.tokenised(texts.train, texts, tokenizer)
        validation = self.tokenised(texts.validation, texts, tokenizer)
        trainer = self.trainer.trainer(run, self.name, self.seed, model, tokenizer, train, validation)
        if last is not None:
            relocate(last)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        if trainer.state.best_metric is None:
            raise NothingValidated(run.folder)
        if is_first_process():
            best: Any = trainer.accelerator.unwrap_model(trainer.model)  # loaded by the Trainer at the end
            best.save_pretrained(run.checkpoints / BEST)
            tokenizer.save_pretrained(run.checkpoints / BEST)
        state = trainer.state
        run.record(
            "fit",
            {
                "best": f"checkpoints/{BEST}",
                "checkpoint": Path(state.best_model_checkpoint or "").name,
                "monitor": self.trainer.monitor,
                "score": round(trainer.state.best_metric, 6),
                "epochs": round(state.epoch or 0, 3),
                "steps": state.global_step,
                "texts": {part: len(getattr(texts, part)) for part in ("train", "validation", "test")},
                "left out": texts.left_out,
                "seconds": round(time.monotonic() - started, 1),
            },
        )

    def test(self, run: Run) -> None:
        run.recorded("fit")
        texts = self.files().read(self.seed)
        best = best_of(run)
        truth, found = self.decisions(best, texts)
        metrics = measure(truth, found, texts)
        rows = [(label, *row.values()) for label, row in metrics["by class"].items()]
        write_table(run.plots / "by-class.csv", ("label", *COLUMNS), rows)
        if not texts.multi_label:
            confusion = confusion_matrix(truth, found, labels=range(len(texts.labels)))
            title = f"{self.name}: accuracy {metrics['accuracy']}"
            plot_confusion(confusion, texts.labels, title, run.plots / "confusion.png")
        shown = {name: value for name, value in metrics.items() if name != "by class"}
        print(f"{self.name}: {shown} on {len(texts.test)} held-out texts")
        logits, _ = self.predictions(best, texts.validation, texts)
        run.record(
            "test",
            {
                "metrics": metrics,
                "reference": reference(logits, texts.labels, texts.multi_label),
                "labels": texts.labels,
                "sample": sample_of(texts),
            },
        )

    def evaluate(self, folder: Path) -> dict[str, Any]:
        texts = self.files(training=False).read(self.seed)
        return measure(*self.decisions(folder / "weights", texts), texts)

    def files(self, training: bool = True) -> TextData:
        """The data set as files. training: False if only the test data is needed."""
        if isinstance(self.data, GeneratedData):
            return TextData.model_validate(self.data.files(training))
        return self.data

    def export(self, run: Run, folder: Path) -> None:
        tested, fitted = run.recorded("test"), run.recorded("fit")
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.txt")
            sample.write_text(tested["sample"], encoding="utf-8")
            Artifact(
                name=self.name,
                experiment=self,
                task="text-classification",
                format="huggingface",
                labels=tested["labels"],
                preprocessing={"max_length": self.max_length},
                metrics=tested["metrics"],
                training={**self.model_dump(mode="json", exclude={"name", "system"}), **fitted},
                reference=tested["reference"],
            ).write(folder, self.stored(best_of(run), Path(temporary, "weights")), sample, sorted(run.plots.iterdir()))

    def stored(self, best: Path, folder: Path) -> Path:
        """The folder to archive: the checkpoint itself, or a copy in `folder` with weights of the stored type."""
        if self.stored_weights is None:
            return best
        shutil.copytree(best, folder)
        load_classifier(best).half().save_pretrained(folder)
        return folder

    def tokenised(self, examples: Sequence[Example], texts: Texts, tokenizer: Any) -> Dataset:
        """A dataset with input_ids, truncated, not padded; length, in tokens; labels: an index, or 0 or 1 per class."""
        index = {label: number for number, label in enumerate(texts.labels)}

        def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            cut = [text[: CHARACTERS_PER_TOKEN * self.max_length] for text in batch["text"]]
            encoded = tokenizer(cut, truncation=True, max_length=self.max_length, return_attention_mask=False)
            return {"input_ids": encoded["input_ids"], "length": [len(ids) for ids in encoded["input_ids"]]}

        def target(example: Example) -> Any:
            if not texts.multi_label:
                return index[example.labels[0]]
            return [float(label in example.labels) for label in texts.labels]

        disable_datasets_progress()
        columns = {"text": [e.text for e in examples], "labels": [target(e) for e in examples]}
        return Dataset.from_dict(columns).map(encode, batched=True, remove_columns=["text"], keep_in_memory=True)

    def predictions(
        self, folder: Path, examples: Sequence[Example], texts: Texts
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(logits (N, classes) of the classifier in `folder`, true labels), in the order of the examples."""
        disable_transformers_progress()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = load_classifier(folder)
        round_weights(model, self.stored_weights)
        rows = self.tokenised(examples, texts, tokenizer)
        return predict(model, tokenizer, rows, 2 * self.trainer.batch_size), np.asarray(rows["labels"], dtype=np.int64)

    def decisions(self, folder: Path, texts: Texts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(true classes, predicted classes) of the test data, in the form that `decide` returns."""
        logits, truth = self.predictions(folder, texts.test, texts)
        return truth, decide(logits, texts.multi_label)


def measure(truth: NDArray[np.int64], found: NDArray[np.int64], texts: Texts) -> dict[str, Any]:
    """The test metrics: overall, by class, and by group if there are groups."""
    metrics: dict[str, Any] = {name: round(value, 4) for name, value in scores(truth, found).items()}
    metrics |= {"texts": len(texts.test), "by class": by_class(truth, found, texts.labels)}
    if texts.group is not None:
        groups = [example.group for example in texts.test]
        metrics[f"by {texts.group}"] = by_group(truth, found, groups, texts.multi_label)
    return metrics


def best_of(run: Run) -> Path:
    """The folder of the run's best model. Raises RunError if the training has not ended."""
    folder = run.checkpoints / BEST
    if not (folder / "config.json").is_file():
        raise RunError(f"{run.folder} has no trained model; run `python -m train resume {run.folder}` first")
    return folder


def sample_of(texts: Texts) -> str:
    """A test text of median length, truncated if it is long."""
    ordered = sorted((example.text for example in texts.test), key=len)
    return ordered[len(ordered) // 2][:SAMPLE_CHARACTERS]
