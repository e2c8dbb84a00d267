"""Text generation: a prompt in, what a language model writes after it out, whole or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import torch
from torch import LongTensor, Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from handlers.errors import InternalError, InvalidInput, TooLarge
from handlers.loader import load_model
from handlers.protocol.openai.call import CHAT, COMPLETIONS
from handlers.protocol.payload import Payload, Request
from handlers.protocol.response import JSON, Response, to_json
from handlers.protocol.streaming import LINES, pieces, wants_pieces
from handlers.text.chat_template import ChatTemplate
from handlers.text.generation_state import GenerationState
from handlers.text.handler import TextHandler, TextInput
from handlers.text.sampling import Sampler, choose, indices
from handlers.torchserve.response_stream import ResponseStream

MAX_SEED = 2**63 - 1
MAX_STOPS, MAX_STOP_CHARACTERS = 8, 100


@dataclass(frozen=True, kw_only=True)
class GenerationInput(TextInput):
    """stream: as the request has it. out: where pieces go to, empty where the answer is sent whole."""

    state: GenerationState
    sampler: Sampler
    stream: str
    out: list[Callable[[str], None]]


class TextGeneration(TextHandler[GenerationInput, GenerationState]):
    """For causal language models; the requests of a batch are written together, each by its own parameters."""

    openai = (CHAT, COMPLETIONS)
    model: Any  # of transformers

    def load(self) -> None:
        super().load()
        self.model = load_model(self.artifact, self.device)
        self.most_new_tokens = min(int(self.limits["max_new_tokens"]), self.max_length - 1)
        self.new_tokens = min(int(self.options["max_new_tokens"]), self.most_new_tokens)
        self.temperature = float(self.options["temperature"])
        self.top_p = float(self.options["top_p"])
        self.chat = bool(self.options["chat"])
        self.template = ChatTemplate(self.tokenizer, 4 * self.max_characters)
        own = self.model.generation_config.eos_token_id
        ends = own if own is not None else self.tokenizer.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self.tokenizer.padding_side = "left"  # the next token comes right after the last one
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.convert_ids_to_tokens(0)
        # Requests decide how tokens are chosen, not what the folder says.
        self.model.generation_config = GenerationConfig(
            pad_token_id=self.tokenizer.pad_token_id, eos_token_id=sorted(self.ends) or None
        )

    def decode(self, payload: Payload) -> GenerationInput:
        """A prompt that is too long loses its beginning: the text goes on from its end."""
        chat = payload.flag("chat", self.chat)
        ids = self.prompt(self.turns(payload.data) if chat else self.read(payload.data))
        asked = payload.integer("max_new_tokens", self.new_tokens, 1, self.most_new_tokens)
        new_tokens = asked
        if not payload.flag("truncate", True):
            new_tokens = self.room(len(ids), asked, "max_new_tokens" in payload.parameters)
        temperature = payload.number("temperature", self.temperature, 0, 10)
        top_p = payload.number("top_p", self.top_p, 0, 1)
        seed = payload.integer("seed", 0, 0, MAX_SEED) if "seed" in payload.parameters else None
        kept = ids[-(self.max_length - new_tokens) :]
        return GenerationInput(
            ids=kept,
            total=len(ids),
            state=GenerationState(kept, self.text_of, new_tokens, stops(payload.parameters.get("stop", []))),
            sampler=Sampler(temperature, top_p, seed),
            stream=str(payload.parameters.get("stream", "false")),
            out=[],
        )

    def turns(self, data: Any) -> list[dict[str, str]]:
        """The turns of a conversation; a text alone is one of its user."""
        turns = data if isinstance(data, list) else [{"role": "user", "content": data}]
        self.read("".join(turn["content"] for turn in turns) if turns is data else data)
        return turns

    def prompt(self, sent: str | list[dict[str, str]]) -> list[int]:
        return self.ids(sent) if isinstance(sent, str) else self.ids(self.template.render(sent), special=False)

    def room(self, read: int, asked: int, fixed: bool) -> int:
        """Tokens that may be written behind a prompt of so many; TooLarge where the model has no room for them.

        fixed: whether the request asks for so many; else they may be fewer.
        """
        left = self.max_length - read
        if left < (asked if fixed else 1):
            more = f" and {asked} more are to be written" if fixed else ""
            raise TooLarge(f"the prompt has {read} tokens{more}; the model takes {self.max_length} together")
        return min(asked, left)

    def measure(self, payload: Payload, item: GenerationInput) -> Mapping[str, float]:
        if isinstance(payload.data, list):
            payload = replace(payload, data="\n".join(turn["content"] for turn in payload.data))
        return super().measure(payload, item)

    def text_of(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def attach_stream(self, request: Request, items: Sequence[GenerationInput], stream: ResponseStream) -> None:
        for index, item in enumerate(items):
            if wants_pieces(item.stream, request, stream.over_rpc, stream.entry):
                item.out.append(pieces(request, index, stream))

    def offers(self, items: Sequence[GenerationInput]) -> tuple[str, ...]:
        return (LINES, JSON) if any(item.out for item in items) else (JSON,)

    def predict(self, items: Sequence[GenerationInput]) -> Sequence[GenerationState]:
        """The items' drafts, finished; one that was begun before an error goes on where it was.

        When the time for a request is over, the texts end where they are.
        """
        end = monotonic() + self.request_s
        while unfinished := [item for item in items if item.state.finish_reason is None]:
            with self.lock:
                ids = [item.ids + item.state.tokens for item in unfinished]
                batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
            self.run(unfinished, {name: batch[name].to(self.device) for name in ("input_ids", "attention_mask")}, end)
        return [item.state for item in items]

    def run(
        self, items: Sequence[GenerationInput], batch: Mapping[str, Tensor], end: float
    ) -> Sequence[GenerationState]:
        """Write until all are done, or as far as all can go together; end: by the monotonic clock."""
        left = [item.state.limit - len(item.state.tokens) for item in items]
        # A finished text is padded while the others are written, and must not leave the model's positions.
        together = batch["input_ids"].shape[1] + max(left) <= self.max_length
        self.model.generate(
            **batch,
            do_sample=False,  # Writer leaves one token to choose from
            max_new_tokens=max(left) if together else min(left),
            logits_processor=LogitsProcessorList([Writer(items, self.ends, self.tokenizer.pad_token_id)]),
            stopping_criteria=StoppingCriteriaList([Finished(items, end)]),
        )
        return [item.state for item in items]

    def encode(self, item: GenerationInput, output: GenerationState, media_type: str) -> Response:
        if output.finish_reason == "not_finite":
            raise InternalError("the model's output for this input is not finite")
        truncation = item.truncation_info()
        tokens = {**truncation.pop("tokens", {"read": len(item.ids)}), "written": len(output.tokens)}
        rest: dict[str, Any] = {"finish_reason": output.finish_reason, "tokens": tokens, **truncation}
        if item.out:
            return Response(to_json({"text": output.take(), **rest}) + b"\n", LINES)
        return Response(to_json({"text": output.text, **rest}))


def stops(value: Any) -> list[str]:
    """The parameter `stop`: a text, or in JSON a list of them."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(stop, str) and stop for stop in found):
        raise InvalidInput("stop: wanted a text, or a list of texts, none of them empty")
    if len(found) > MAX_STOPS or any(len(stop) > MAX_STOP_CHARACTERS for stop in found):
        raise InvalidInput(f"stop: wanted at most {MAX_STOPS} texts of at most {MAX_STOP_CHARACTERS} characters")
    return found


class Writer(LogitsProcessor):
    """Chooses each item's next token, writes it down, and sends what is new to those who wait for pieces."""

    def __init__(self, items: Sequence[GenerationInput], ends: set[int], padding: int) -> None:
        self.items = items
        self.ends = ends
        self.padding = padding

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        """scores (items, vocabulary) → the same, with nothing but the chosen token possible."""
        tokens = [self.padding] * len(self.items)
        writing = [row for row, item in enumerate(self.items) if item.state.finish_reason is None]
        rows = scores if len(writing) == len(scores) else scores.index_select(0, indices(writing, scores.device))
        found = choose(rows, [self.items[row].sampler for row in writing])
        for row, token in zip(writing, found, strict=True):
            item = self.items[row]
            if token is None:
                item.state.finish_reason = "not_finite"
                continue
            tokens[row] = token
            item.state.add(token, token in self.ends)
            self.send(item)
        places = indices(tokens, scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(1, places, 0.0)

    def send(self, item: GenerationInput) -> None:
        for send in item.out:
            new = item.state.take()
            if new:
                send(new)


class Finished(StoppingCriteria):
    """Which items are done; without it the batch would run on to the limit of its longest. end: as `run` takes it."""

    def __init__(self, items: Sequence[GenerationInput], end: float) -> None:
        self.items = items
        self.end = end

    def __call__(self, input_ids: LongTensor, scores: Any, **kwargs: Any) -> Any:
        if monotonic() > self.end:
            for item in self.items:
                item.state.finish_reason = item.state.finish_reason or "time_limit"
        done = [item.state.finish_reason is not None for item in self.items]
        return torch.tensor(done).to(input_ids.device, non_blocking=True)
