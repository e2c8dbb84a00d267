"""When each token of a text was spoken, by the heads of Whisper's decoder that follow the sound.

Their attention over the encoder's positions is aligned with the tokens by dynamic time warping, as openai-whisper and
transformers do it (Radford et al. 2022, in the code that they published; Sakoe and Chiba 1978).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

# Steps of a path: to the next token and position, to the next token, to the next position.
BOTH, TOKEN, POSITION = 0, 1, 2


class Alignment:
    """heads: (layer, head) of the decoder. precision: seconds of a position of the encoder."""

    def __init__(self, model: Any, heads: Sequence[Sequence[int]], precision: float) -> None:
        """ValueError for heads that the model does not have."""
        config = model.config
        for layer, head in heads:
            if not (0 <= layer < config.decoder_layers and 0 <= head < config.decoder_attention_heads):
                raise ValueError(f"generation_config.json: alignment_heads: the model has no head {[layer, head]}")
        self.model, self.precision = model, precision
        self.heads: dict[int, list[int]] = {}
        for layer, head in heads:
            self.heads.setdefault(layer, []).append(head)

    def times(
        self, prompt: Sequence[int], written: Sequence[int], encoded: Tensor, positions: int, cut: bool
    ) -> list[float]:
        """The seconds from the beginning of `encoded` at which each token of `written` begins.

        prompt: the tokens before them. encoded: (positions, channels). positions: of the sound, without its padding.
        cut: whether the text would go on; as in transformers, its last token then begins with the one before.
        """
        known = list(written[:-1] if cut else written)
        if len(known) < 2:
            return [0.0] * len(written)  # nothing to be told apart from
        attention_HTP = self.attention([*prompt, *known], encoded)[:, len(prompt) :, : max(1, positions)]
        centred = attention_HTP - attention_HTP.mean(dim=1, keepdim=True)
        smooth = median(centred / attention_HTP.std(dim=1, keepdim=True, correction=0), self.model.config)
        # What no token attends to more than another says nothing.
        path = warping_path(-smooth.mean(dim=0).nan_to_num().cpu().double().numpy())
        first = np.unique(path[:, 0], return_index=True)[1]
        found = [float(position) * self.precision for position in path[first, 1]]
        return found + found[-1:] * cut

    def attention(self, tokens: list[int], encoded: Tensor) -> Tensor:
        """(heads, tokens, positions) of the decoder over its whole text, all of it at once."""
        found: list[Tensor] = []
        with self.watched(found):
            self.model.get_decoder()(
                input_ids=torch.tensor([tokens], device=encoded.device),
                encoder_hidden_states=encoded[None],
                use_cache=False,
            )
        return torch.cat(found)

    @contextmanager
    def watched(self, found: list[Tensor]) -> Iterator[None]:
        """Collect the attention of the heads, of one layer at a time: all heads of a large model would take
        gigabytes."""
        implementation = self.model.config._attn_implementation
        layers = self.model.get_decoder().layers

        def keep(heads: list[int]) -> Any:
            return lambda module, inputs, output: found.append(output[1][0, heads].float())

        hooks = [layers[layer].encoder_attn.register_forward_hook(keep(heads)) for layer, heads in self.heads.items()]
        self.model.set_attn_implementation("eager")  # the others do not hand it out
        try:
            yield
        finally:
            self.model.set_attn_implementation(implementation)
            for hook in hooks:
                hook.remove()


def median(values_HTP: Tensor, config: Any) -> Tensor:
    """The running median over positions, the ends mirrored."""
    width = int(config.median_filter_width)
    if values_HTP.shape[-1] <= width // 2:
        return values_HTP
    padded = F.pad(values_HTP, (width // 2, width // 2), mode="reflect")
    return padded.unfold(-1, width, 1).median(dim=-1).values


def warping_path(costs_TP: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cheapest way from the first token and position to the last ones, (steps, 2).

    Costs are summed along the diagonals, on which no cell needs another.
    """
    tokens, positions = costs_TP.shape
    total = np.full((tokens + 1, positions + 1), np.inf, np.float32)
    total[0, 0] = 0
    steps = np.full(total.shape, POSITION, np.int8)
    steps[1:, 0] = TOKEN
    for diagonal in range(2, tokens + positions + 1):
        rows = np.arange(max(1, diagonal - positions), min(tokens, diagonal - 1) + 1)
        columns = diagonal - rows
        both, token, position = total[rows - 1, columns - 1], total[rows - 1, columns], total[rows, columns - 1]
        by_token = np.where((token < both) & (token < position), TOKEN, POSITION)
        step = np.where((both < token) & (both < position), BOTH, by_token)
        steps[rows, columns] = step
        total[rows, columns] = costs_TP[rows - 1, columns - 1] + np.choose(step, (both, token, position))
    row, column = tokens, positions
    path = []
    while row > 0 or column > 0:
        path.append((row - 1, column - 1))
        step = steps[row, column]
        row, column = row - (step != POSITION), column - (step != TOKEN)
    return np.array(path[::-1])
