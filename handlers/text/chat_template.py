"""A model's chat template: how the turns of a conversation are written down as its prompt."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError

from handlers.errors import InvalidInput, TooLarge
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import MAX_TEMPLATE_BYTES

# By a template that these turns are not what it was written for, or that it has no end.
RAISED = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(MemoryError, RecursionError),
)
MAX_REASON = 200  # characters of what a template says of turns that it refuses
# A prompt has a few hundred thousand characters at most, and a template can make as many as it likes before it ends.
MAX_MEMORY = 256 << 20
STATM = Path("/proc/self/statm")


class ChatTemplate:
    """Of a tokenizer, which may have none. transformers renders it in Jinja's sandbox, where it can call nothing but
    the methods of texts, numbers and lists that change nothing; the keeper of a worker ends one that does not end.
    """

    def __init__(self, tokenizer: Any, max_characters: int) -> None:
        """max_characters: of a prompt. Raises UnsafeFile for a template that cannot be compiled."""
        self.tokenizer, self.max_characters = tokenizer, max_characters
        self.lock = Lock()  # the bound on memory is the process's
        own = tokenizer.chat_template
        for template in own.values() if isinstance(own, dict) else [own] if own else []:
            check(template)

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """turns: [{"role", "content"}, …]. InvalidInput where there is no template, or it refuses them."""
        if not self.tokenizer.chat_template:
            raise InvalidInput(
                "chat: this model has no chat template; send the prompt as it is, to /predictions or /v1/completions"
            )
        try:
            with self.lock, bounded_memory(MAX_MEMORY):
                written = self.tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False)
            written.encode()  # halves of a character, which no tokenizer takes, are a ValueError
        except RAISED as error:
            raise InvalidInput(f"messages: the model's chat template refuses them: {reason(error)}") from None
        if len(written) > self.max_characters:
            raise TooLarge(f"the prompt that the chat template makes has more than {self.max_characters} characters")
        return str(written)


def check(template: Any) -> None:
    """UnsafeFile for a template that cannot be compiled, or that computes powers: one number could take hours, in
    which Python can do nothing else. What is compiled here is kept for the requests.
    """
    from transformers.utils.chat_template_utils import _compile_jinja_template

    if not isinstance(template, str):
        raise UnsafeFile(f"chat_template: wanted a text; got a {type(template).__name__}")
    if len(template) > MAX_TEMPLATE_BYTES:
        raise UnsafeFile(f"chat_template: has {len(template)} characters; wanted {MAX_TEMPLATE_BYTES} at most")
    try:
        # An empty one is compiled for its environment, which knows the tags that transformers has added.
        if _compile_jinja_template("").environment.parse(template).find(nodes.Pow):
            raise UnsafeFile("chat_template: computes a power (**), which no prompt needs")
        with bounded_memory(MAX_MEMORY):
            _compile_jinja_template(template)
    except RAISED as error:
        raise UnsafeFile(f"chat_template: cannot be compiled: {reason(error)}") from None


def reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"it takes more than {MAX_MEMORY >> 20} MiB"
    return str(error)[:MAX_REASON] or type(error).__name__


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Within it a MemoryError is raised when the process takes `more` bytes than it has, by its address space. Only
    Linux says how much that is."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if STATM.exists():
        wanted = int(STATM.read_bytes().split()[0]) * resource.getpagesize() + more
        bounds = [limit for limit in before if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *bounds]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
