import pytest

from handlers.errors import NotAcceptable
from handlers.protocol.media_type import negotiate

OFFERS = ("application/json", "image/png")


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("image/*", "image/png"),
        ("application/json;q=0.5, image/png", "image/png"),
        ("image/png;q=0, */*", "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
    ],
)
def test_the_best_offer(accept: str, answer: str) -> None:
    assert negotiate(accept, OFFERS) == answer


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "image/png;q=0", "image/png;q=x"])
def test_nothing_fits(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        negotiate(accept, OFFERS)
