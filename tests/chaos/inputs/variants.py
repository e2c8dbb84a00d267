"""Many requests from each that Hypothesis drew: its body changed, or exchanged with that of one drawn before.

Drawing a request takes some ten milliseconds of a processor, varying it less than one.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from client.stubs.inference_pb2 import PredictionsRequest
from tests.chaos.grpc_attack import Call
from tests.chaos.inputs.mutations import mutate
from tests.chaos.wire import KEY, Wire

T = TypeVar("T", Wire, Call)
VARIANTS = 15  # of each that was drawn
REMEMBERED = 200
MOST_BYTES = 1 << 16  # of what is varied: more takes its time to send, not to parse
END = b"\r\n\r\n"
LENGTH = re.compile(rb"(?i)(\r\ncontent-length:) *\d+")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")


def varied(rounds: Iterable[list[T]], seed: int, vary: Callable[[T, T, random.Random], T | None]) -> Iterator[T]:
    """Each request and its variants, those of one round mixed: no model is to get more at once than its queue takes.

    vary: (request, another, chance) → a variant, None where there is none.
    """
    chance = random.Random(seed)
    drawn: deque[T] = deque(maxlen=REMEMBERED)
    for made in rounds:
        mixed = list(made)
        for one in made:
            if size(one) <= MOST_BYTES:
                drawn.append(one)
                variants = (vary(one, chance.choice(drawn), chance) for _ in range(VARIANTS))
                mixed += [variant for variant in variants if variant]
        chance.shuffle(mixed)
        yield from mixed


def size(one: Wire | Call) -> int:
    return sum(map(len, one.pieces if isinstance(one, Wire) else one.messages))


def body_of(one: bytes, other: bytes, chance: random.Random) -> bytes:
    """Half of all are the one's, changed; then the other's, as it is or changed."""
    drawn = chance.random()
    return other if drawn < 0.25 else mutate(chance, [other if drawn < 0.5 else one])


def vary_request(one: Wire, other: Wire, chance: random.Random) -> Wire | None:
    """Good HTTP again: the head is the one's, with the new body's length."""
    if not one.complete or len(one.pieces) > 1 or not other.complete:
        return None
    head, _, mine = one.pieces[0].partition(END)
    other_head, _, theirs = other.pieces[0].partition(END)
    if CHUNKED.search(other_head):
        theirs = mine
    body = body_of(mine, theirs, chance)
    if CHUNKED.search(head):
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif LENGTH.search(head):
        head = LENGTH.sub(rb"\g<1> %d" % len(body), head)
    else:
        return None
    return dataclasses.replace(one, kind=f"{one.kind}, varied", pieces=(head + END + body,))


def vary_bytes(one: Wire, other: Wire, chance: random.Random) -> Wire | None:
    """Hardly HTTP: any byte may differ, but not those of the key."""
    if one.pause or one.leaves:
        return None
    before, key, after = b"".join(one.pieces).partition(KEY)
    data = (
        before + key + mutate(chance, [after])
        if key and chance.random() < 0.7
        else mutate(chance, [before]) + key + after
    )
    return dataclasses.replace(one, kind=f"{one.kind}, varied", pieces=(data,), complete=False)


def vary_call(one: Call, other: Call, chance: random.Random) -> Call | None:
    """A message that can be read, with another body; of one that cannot, another."""
    if len(one.messages) != 1 or not other.readable:
        return None
    kind = f"{one.kind}, varied"
    if not one.readable:
        return dataclasses.replace(one, kind=kind, messages=(mutate(chance, [one.messages[0], other.messages[0]]),))
    message = PredictionsRequest.FromString(one.messages[0])
    theirs = PredictionsRequest.FromString(other.messages[0])
    name = chance.choice(sorted(message.input))
    message.input[name] = body_of(message.input[name], theirs.input[chance.choice(sorted(theirs.input))], chance)
    return dataclasses.replace(one, kind=kind, messages=(message.SerializeToString(),))
