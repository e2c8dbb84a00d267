"""How long a text a model of transformers has positions for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Models that count positions from behind the padding token's id, as fairseq's RoBERTa does: of its 514 positions the
# first two are never a token's.
FROM_PADDING = {
    *("camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm"),
    *("xlm-roberta", "xlm-roberta-xl", "xmod"),
}
PADDING = 1  # their padding token's id where a configuration does not say


def max_tokens(config: Mapping[str, Any]) -> int | None:
    """Tokens of the longest text, special ones included; None for a model without such a limit.

    config: of transformers, as config.json holds it; of our own mean pooling the encoder's counts.
    """
    config = config.get("encoder") or config
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if positions is None:
        return None
    if config.get("model_type") not in FROM_PADDING:
        return int(positions)
    padding = config.get("pad_token_id")
    return int(positions) - (PADDING if padding is None else int(padding)) - 1
