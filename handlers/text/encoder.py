"""The base of tasks whose model reads a text whole: its fastest form, and batches of texts of like length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from handlers.acceleration.accelerate import Function
from handlers.acceleration.equivalence import Outputs, mismatch
from handlers.batching.length_buckets import bucket_ends, length_buckets
from handlers.loader import load_model
from handlers.networks.encoder import NOTHING, Encoder
from handlers.sample import sample_payload
from handlers.text.handler import Item, Output, TextHandler, TextInput

# An ONNX graph holds a layer's attention as a whole, heads × length² numbers a text (13 MB of BERT's at this length),
# which torch computes in pieces: a model of longer texts runs as it is. And a GPU that reads longer ones is busy
# without CUDA graphs.
MAX_GRAPH_TOKENS = 512


class TextEncoder(TextHandler[Item, Output]):
    """A task names the `outputs` it takes of transformers' model, and adds `run`.

    typed: whether its items have types, if the model knows any.
    """

    outputs: ClassVar[tuple[str, ...]]
    typed: ClassVar[bool] = False

    def load(self) -> None:
        super().load()
        self.rows = 2 if self.typed and "token_type_ids" in self.tokenizer.model_input_names else 1
        self.left = self.tokenizer.padding_side == "left"
        # Texts are padded to the ends of their buckets where those have CUDA graphs.
        self.lengths = bucket_ends(min(self.max_length, MAX_GRAPH_TOKENS)) if self.device.type == "cuda" else []
        if self.lengths:
            tokens = self.sample_tokens()
            self.forward: Function = self.accelerate(self.build, tokens, (0, 2), self.judge, self.lengths)
        elif self.max_length > MAX_GRAPH_TOKENS:
            self.forward = self.build()
        else:
            self.forward = self.accelerate(self.build, self.example(), dynamic=(0, 2))

    def build(self) -> Encoder:
        padding = self.tokenizer.pad_token_id or self.config.get("pad_token_id") or 0
        return Encoder(load_model(self.artifact, self.device), padding, self.outputs).eval()

    def example(self) -> Tensor:
        """A text of all tokens in turn, as long as they come, a quarter of it padding."""
        ids = torch.arange(self.max_length) % len(self.tokenizer)
        types = (ids > self.max_length // 4).long()
        tokens = torch.stack([ids, types][: self.rows])[None]
        tokens[..., self.max_length - self.max_length // 4 :] = NOTHING
        return tokens

    def sample_tokens(self) -> Tensor:
        """The artifact's sample, of which the answers on a GPU decide about the precision."""
        payload = sample_payload(self.artifact, self.input_type)
        texts = [payload.parameters[name] for name in ("question",) if name in payload.parameters]
        encoded = self.tokenizer(*texts, payload.data, truncation=True, max_length=self.max_length)
        item = TextInput(ids=encoded["input_ids"], total=0, types=encoded.get("token_type_ids"))
        return self.padded([item]).cpu()

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        """Whether outputs in lower precision, or of a graph, are still the model's."""
        return mismatch(found, wanted)

    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """Outputs in the order of the items, from one run of the model for each bucket of like lengths."""
        outputs: dict[int, Output] = {}
        for bucket in length_buckets([len(item.ids) for item in items]):
            chosen = [items[index] for index in bucket]
            outputs.update(zip(bucket, self.run(chosen, self.padded(chosen)), strict=True))
        return [outputs[index] for index in range(len(items))]

    def padded(self, items: Sequence[TextInput]) -> Tensor:
        """The network's input for texts of like length, padded on the side the model was trained with."""
        longest = max(len(item.ids) for item in items)
        longest = next((length for length in self.lengths if length >= longest), longest)
        tokens = np.full((len(items), self.rows, longest), NOTHING)
        for row, item in zip(tokens, items, strict=True):
            row[:, self.place(item, longest)] = [item.ids, item.types][: self.rows]
        return torch.from_numpy(tokens).to(self.device)

    def place(self, item: TextInput, length: int) -> slice:
        """Where an item's tokens are in a batch that is `length` tokens long."""
        return slice(length - len(item.ids), length) if self.left else slice(0, len(item.ids))

    @abstractmethod
    def run(self, items: Sequence[Item], tokens: Tensor) -> Sequence[Output]:
        """An output for each item of one bucket. tokens: as `padded` gives them."""
