"""How senders encode a body: charsets, gzip, base64."""

import base64
import gzip
import zlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import MalformedInput, RequestError, UnsupportedMedia
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType
from handlers.protocol.request import parse
from tests.handlers.protocol.reading import LIMIT, PIXELS, as_json, read


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ('"UTF-8"', "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("Windows-1251", "cp1251"),
        ("UTF-16", "utf-16"),
        ("utf-16le", "utf-16-le"),
        ("Shift_JIS", "shift_jis"),
        ("Windows-31J", "cp932"),
        ("windows-874", "cp874"),
        ("ISO-8859-8-I", "iso8859_8"),
        ("x-cp1251", "cp1251"),
        ("csISOLatin1", "latin-1"),
        ("ANSI_X3.4-1986", "ascii"),
        ("us-ascii", "ascii"),
    ],
)
@pytest.mark.parametrize("as_object", [True, False])
def test_a_declared_charset_is_decoded(charset: str, codec: str, as_object: bool) -> None:
    others = {"cp1251": "вокзал", "shift_jis": "駅はどこ", "cp932": "①駅", "cp874": "สถานี", "iso8859_8": "תחנה"}
    said = {**others, "ascii": "station"}.get(codec, "grüße")
    body = (f'{{"text": "{said}"}}' if as_object else said).encode(codec)
    declared = f"{'application/json' if as_object else 'text/plain'}; format=flowed; charset={charset}"
    for row, headers in (({"body": body}, {"Content-type": declared}), ({"body": body, "content-type": declared}, {})):
        assert read(row, headers, InputType.TEXT).payloads[0].data == said


@pytest.mark.parametrize("charset", ["binary", "nosuch", "idna", "hex", "utf-7", "../x", "a" * 999, "unicode_escape"])
@pytest.mark.parametrize("media", ["text/plain", "application/json"])
def test_an_unknown_charset_is_unsupported(charset: str, media: str) -> None:
    with pytest.raises(UnsupportedMedia, match="charset") as raised:
        read({"body": b'"x"'}, {"content-type": f"{media};charset={charset}"}, InputType.TEXT)
    assert len(raised.value.message) <= 300
    assert read({"body": PIXELS}, {"content-type": f"image/png;charset={charset}"}).payloads[0].data == PIXELS


def test_bytes_that_are_not_of_the_declared_charset() -> None:
    for charset in ("us-ascii", "utf-16", "euc-jp"):
        with pytest.raises(MalformedInput, match="is not"):
            read({"body": b"\xe9\xff\x00"}, {"content-type": f"text/plain; charset={charset}"}, InputType.TEXT)


def test_a_byte_order_mark() -> None:
    assert read({"body": b"\xef\xbb\xbf[1]"}, {}, InputType.TENSOR).payloads[0].data == [1]
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        for body, declared in (("grüße", "text/plain"), ('{"text": "grüße"}', "application/json")):
            found = read({"body": body.encode(codec)}, {"content-type": declared}, InputType.TEXT)
            assert found.payloads[0].data == "grüße"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_inflated(encoding: str) -> None:
    headers = {"content-type": "image/png", "Content-Encoding": encoding}
    assert read({"body": gzip.compress(PIXELS, mtime=0)}, headers).payloads[0].data == PIXELS
    assert read({"body": PIXELS}, headers | {"Content-Encoding": "identity"}).payloads[0].data == PIXELS


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (gzip.compress(bytes(LIMIT + 1), mtime=0), "gzip", 413),
        (gzip.compress(bytes(50 << 20), mtime=0), "gzip", 413),
        (gzip.compress(PIXELS, mtime=0)[:-9], "gzip", 400),
        (PIXELS, "gzip", 400),
        (gzip.compress(PIXELS, mtime=0) * 2, "gzip", 400),
        (zlib.compress(PIXELS), "deflate", 415),
        (PIXELS, "br", 415),
        (PIXELS, "zstd", 415),
        (gzip.compress(gzip.compress(PIXELS, mtime=0), mtime=0), "gzip, gzip", 415),
        (PIXELS, "x" * 5000, 415),
    ],
)
def test_other_content_encodings(body: bytes, encoding: str, code: int) -> None:
    limits = Limits(max_bytes=LIMIT if len(body) <= LIMIT else 60_000, max_instances=1, max_values=9)
    with pytest.raises(RequestError) as raised:
        parse({"body": body}, {"content-type": "image/png", "content-encoding": encoding}, InputType.MEDIA, limits)
    assert raised.value.code == code, raised.value
    assert len(raised.value.message) <= 300


@given(data=st.binary(min_size=1, max_size=90), safe=st.booleans(), pad=st.booleans(), width=st.integers(1, 80))
def test_base64_as_senders_write_it(data: bytes, safe: bool, pad: bool, width: int) -> None:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(data).decode()
    text = text if pad else text.rstrip("=")
    lines = "\r\n".join(text[i : i + width] for i in range(0, len(text), width))
    assert as_json({"b64": lines}).payloads[0].data == data


@pytest.mark.parametrize("text", ["a", "ab=c", "aü==", "ab!c", "ab\x00c", "ab d", "aGVs bG8="])
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(MalformedInput, match="base64"):
        as_json({"b64": text})


@pytest.mark.parametrize("before", ["data:image/png;base64,", "  DATA:;charset=utf-8;base64,", "data:;base64,\n"])
def test_a_data_url_may_be_percent_encoded(before: str) -> None:
    """As URLs are (RFC 2397), and with what an editor puts around it."""
    data = bytes(range(256))
    text = base64.b64encode(data).decode()
    for sent in (text, quote(text, safe="")):
        assert as_json({"data": before + sent}).payloads[0].data == data
