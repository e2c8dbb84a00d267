"""A model's chat template: how the turns of a conversation are written down as its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from handlers.errors import InvalidInput, TooLarge

# By a template that these turns are not what it was written for.
RAISED = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
MAX_REASON = 200  # characters of what a template says of turns that it refuses


class ChatTemplate:
    """Of a tokenizer, which may have none. transformers renders it in Jinja's sandbox, where it can call nothing but
    the methods of texts, numbers and lists that change nothing; the keeper of a worker ends one that does not end.
    """

    def __init__(self, tokenizer: Any, max_characters: int) -> None:
        """max_characters: of a prompt."""
        self.tokenizer, self.max_characters = tokenizer, max_characters

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """turns: [{"role", "content"}, …]. InvalidInput where there is no template, or it refuses them."""
        if not self.tokenizer.chat_template:
            raise InvalidInput(
                "chat: this model has no chat template; send the prompt as it is, to /predictions or /v1/completions"
            )
        try:
            written = self.tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False)
        except RAISED as error:
            reason = str(error)[:MAX_REASON]
            raise InvalidInput(f"messages: the model's chat template refuses them: {reason}") from None
        if len(written) > self.max_characters:
            raise TooLarge(f"the prompt that the chat template makes has more than {self.max_characters} characters")
        return str(written)
