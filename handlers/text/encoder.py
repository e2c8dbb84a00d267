"""The base of tasks whose model reads a text whole: its fastest form, and batches of texts of like length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from handlers.acceleration.accelerate import Function
from handlers.batching.length_buckets import length_buckets
from handlers.loader import load_model
from handlers.networks.encoder import NOTHING, Encoder
from handlers.text.handler import Item, Output, TextHandler

# A graph holds a layer's attention as a whole, heads × length² numbers a text (13 MB of BERT's at this length), which
# torch computes in pieces: a model of longer texts runs as it is.
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
        if self.max_length > MAX_GRAPH_TOKENS and self.device.type == "cpu":
            self.forward: Function = self.build()
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

    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """Outputs in the order of the items, from one run of the model for each bucket of like lengths."""
        outputs: dict[int, Output] = {}
        for bucket in length_buckets([len(item.ids) for item in items]):
            chosen = [items[index] for index in bucket]
            outputs.update(zip(bucket, self.run(chosen, self.padded(chosen)), strict=True))
        return [outputs[index] for index in range(len(items))]

    def padded(self, items: Sequence[Item]) -> Tensor:
        """The network's input for texts of like length, on the side the model was trained with."""
        longest = max(len(item.ids) for item in items)
        tokens = np.full((len(items), self.rows, longest), NOTHING)
        for row, item in zip(tokens, items, strict=True):
            row[:, self.place(item, longest)] = [item.ids, item.types][: self.rows]
        return torch.from_numpy(tokens).to(self.device)

    def place(self, item: Item, length: int) -> slice:
        """Where an item's tokens are in a batch that is `length` tokens long."""
        return slice(length - len(item.ids), length) if self.left else slice(0, len(item.ids))

    @abstractmethod
    def run(self, items: Sequence[Item], tokens: Tensor) -> Sequence[Output]:
        """An output for each item of one bucket. tokens: as `padded` gives them."""
