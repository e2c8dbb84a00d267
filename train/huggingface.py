"""`system: huggingface`: a text classifier of the Hugging Face hub, or of a local folder, as an artifact."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformers import AutoConfig

from train.artifact import Artifact
from train.experiment import Experiment, ExperimentError

# Weights as safetensors and what a tokenizer needs; no pickles, no code.
FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]


class HuggingFace(Experiment):
    """repository: an id of the hub, as owner/name, or a folder. revision: a branch, tag or commit of the repository.

    max_length: tokens the served model reads. sample: a text for the warm-up and the archive's verification.
    """

    repository: str
    revision: str = "main"
    max_length: int = 512
    sample: str

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        print(f"{self.name}: {self.repository} at {self.revision}")
        source = self.fetch()
        if not list(source.glob("*.safetensors")):
            raise ExperimentError(f"{self.repository} has no safetensors weights; pickled ones are not loaded")
        names = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False).id2label
        with TemporaryDirectory() as temporary:
            weights = Path(temporary, "weights")
            weights.mkdir()
            for pattern in FILES:
                for file in source.glob(pattern):
                    shutil.copy(file, weights)
            sample = Path(temporary, "sample.txt")
            sample.write_text(self.sample, encoding="utf-8")
            Artifact(
                name=self.name,
                task="text-classification",
                format="huggingface",
                labels=[names[index] for index in range(len(names))],
                preprocessing={"max_length": self.max_length},
                training={
                    "source": self.repository,
                    "revision": source.name if source.parent.name == "snapshots" else self.revision,
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample)

    def fetch(self) -> Path:
        """The folder with the files; the hub's cache keeps them for the next time."""
        if Path(self.repository).is_dir():
            return Path(self.repository)
        try:
            return Path(snapshot_download(self.repository, revision=self.revision, allow_patterns=FILES))
        except RepositoryNotFoundError:
            raise ExperimentError(f"repository: the hub has no {self.repository!r}, or it is not public") from None
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ExperimentError(f"{self.repository} cannot be fetched: {str(error).splitlines()[0]}") from None
