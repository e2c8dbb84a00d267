"""Content negotiation: which of the media types a task offers the sender will take (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from handlers.errors import NotAcceptable


def negotiate(accept: str, offers: tuple[str, ...]) -> str:
    """The offer the sender ranks highest, the first of equals; NotAcceptable when none fits.

    accept: the header's value, "" for anything. offers: media types, the task's default first.
    """
    if not accept.strip():
        return offers[0]
    ranked: list[tuple[float, int, str]] = []
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        for order, offer in enumerate(offers):
            if quality > 0 and (media in ("*/*", offer) or media == f"{offer.partition('/')[0]}/*"):
                ranked.append((-quality, order, offer))
    if not ranked:
        raise NotAcceptable(f"accept: got {accept[:80]!r}, this model answers with {' or '.join(offers)}")
    return min(ranked)[2]
