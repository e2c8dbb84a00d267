"""A text classifier of any encoder: masked mean pooling, then a small multilayer perceptron.

Importing the module makes it known to transformers' Auto classes, so that its folders load as any other's: with code
from here and none from a hub.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from handlers.networks.pooling import masked_mean

MULTI_LABEL = "multi_label_classification"


class MeanPoolingConfig(PretrainedConfig):
    """encoder: the configuration of the encoder, as a mapping with its model_type.

    hidden: size of the perceptron's hidden layer, 0 for the encoder's. dropout: before and inside the perceptron.
    """

    model_type = "mean-pooling-classifier"
    # Outputs that transformers' Trainer would otherwise gather for all of a data set.
    keys_to_ignore_at_inference = ["hidden_states"]  # noqa: RUF012 - a field of transformers' dataclass if annotated

    def __init__(
        self, encoder: dict[str, Any] | None = None, hidden: int = 0, dropout: float = 0.1, **rest: Any
    ) -> None:
        self.encoder = encoder or {}
        self.hidden = hidden
        self.dropout = dropout
        super().__init__(**rest)

    def encoder_config(self) -> PretrainedConfig:
        values = dict(self.encoder)
        return AutoConfig.for_model(values.pop("model_type"), **values)


class MeanPoolingClassifier(PreTrainedModel):
    """Token ids (B, tokens) and their mask → logits (B, labels); the same for a text whatever it is padded to."""

    config_class = MeanPoolingConfig
    config: MeanPoolingConfig
    base_model_prefix = "encoder"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: MeanPoolingConfig, encoder: PreTrainedModel | None = None) -> None:
        """encoder: with weights already in it; where None, one of the configuration, with random weights."""
        super().__init__(config)
        self.encoder = encoder if encoder is not None else AutoModel.from_config(config.encoder_config())
        size = self.encoder.config.hidden_size
        self.head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(size, config.hidden or size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden or size, len(config.id2label or {})),
        )
        self.post_init()

    @classmethod
    def of(
        cls, encoder: PreTrainedModel, hidden: int = 0, dropout: float = 0.1, **labels: Any
    ) -> MeanPoolingClassifier:
        """A classifier on an encoder that has its weights; labels: id2label, label2id, problem_type."""
        return cls(MeanPoolingConfig(encoder.config.to_dict(), hidden, dropout, **labels), encoder)

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """labels: class indices (B,), or 0 and 1 for each class (B, labels) of a multi-label model.

        Returns loss (None without labels), logits, and hidden_states: the encoder's for every layer where
        `output_hidden_states` is set, else the last one alone.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found = self.encoder(
            input_ids=input_ids, attention_mask=mask, output_hidden_states=bool(output_hidden_states), **types
        )
        logits: Tensor = self.head(masked_mean(found.last_hidden_state, mask))
        loss = None
        if labels is not None and self.config.problem_type == MULTI_LABEL:
            loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        elif labels is not None:
            loss = F.cross_entropy(logits, labels)
        states = found.hidden_states if output_hidden_states else (found.last_hidden_state,)
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)


AutoConfig.register(MeanPoolingConfig.model_type, MeanPoolingConfig, exist_ok=True)
AutoModelForSequenceClassification.register(MeanPoolingConfig, MeanPoolingClassifier, exist_ok=True)
