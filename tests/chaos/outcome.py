"""An answer to a hostile request, and its fault if it has one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MOST_WORDS = 300  # characters of an error's message
ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")
# "501: explanations", the documented answer of a model that has none.
NOT_OFFERED = 501
# How a refusal reads while a fault lasts, by docs/requests.md.
BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Outcome:
    """code: an HTTP status, over gRPC too; 0 where the connection was closed without an answer.

    body: of the answer; where a gRPC call failed, its status as an error of the documented form. hung: no answer came
    within the deadline. left: the caller went before an answer could be there.
    """

    code: int
    seconds: float
    body: bytes = b""
    hung: bool = False
    left: bool = False
    retry_after: bool = False

    @property
    def kind(self) -> str:
        """The column of the table."""
        if self.hung:
            return "hung"
        if self.left:
            return "left"
        if not self.code:
            return "closed"
        return "501" if self.code == NOT_OFFERED else f"{self.code // 100}xx"


def unwanted(outcome: Outcome, must_answer: bool = True) -> str:
    """The fault of an answer to one request, in the same few words for the same fault, or "" where there is none.

    must_answer: the request can be read, so that it has an answer and an error has the documented form; of others only
    a 5xx is a fault.
    """
    if outcome.hung:
        return "no answer within the deadline"
    if outcome.left:
        return ""
    if outcome.code >= 500 and outcome.code != NOT_OFFERED:
        return f"answered {outcome.code}"
    if not must_answer:
        return ""
    if not outcome.code:
        return "the connection was closed without an answer"
    return odd_error(outcome.body) if outcome.code >= 400 else ""


def odd_error(body: bytes) -> str:
    """How an error differs from the documented forms, {code, type, message}, KServe's and OpenAI's {error}, or ""."""
    try:
        value = json.loads(body)
        if value.keys() == {"error"}:
            error = value["error"]
            value = error if isinstance(error, dict) else {"code": 0, "type": "", "message": error}
        message = value["message"]
        whole = isinstance(value["code"], int) and isinstance(value["type"], str) and isinstance(message, str)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "an error without the documented body"
    if not whole:
        return "an error without the documented body"
    if len(message) > MOST_WORDS:
        return f"an error text of more than {MOST_WORDS} characters"
    if ADDRESS.search(message) or "Traceback" in message:
        return "an error text with an address in memory or a traceback"
    return ""
