"""Media types in a request's headers (RFC 9110): Content-Type declares one and its charset, Accept ranks those of the
response."""

from __future__ import annotations

import re
from encodings.aliases import aliases

from handlers.errors import MalformedInput, NotAcceptable, UnsupportedMedia, shown

NAME = r"[a-z0-9!#$&^_.+-]+"
MEDIA_TYPE = re.compile(f"{NAME}/{NAME}")
CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)
# Types that say no more than "bytes", or that senders set without looking at what they send: Android's examples send
# image/* and multipart/form-data, Amazon S3 hands out binary/octet-stream.
UNTYPED = {
    *("application/octet-stream", "binary/octet-stream", "application/binary", "application/x-binary"),
    *("application/force-download", "application/unknown", "multipart/form-data"),
}
# Python's codecs that stand for a charset of the IANA register; others rewrite data, or take quadratic time (idna).
CODECS = {
    *("ascii", "utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be", "latin_1"),
    *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *(f"cp{page}" for page in (*range(1250, 1259), *range(860, 867), 869, 874, 932, 949, 950)),
    *(f"cp{page}" for page in (437, 500, 775, 850, 852, 855, 857, 858, 1140)),
    *("koi8_r", "koi8_u", "mac_roman", "mac_cyrillic", "tis_620"),
    *("shift_jis", "euc_jp", "iso2022_jp", "gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs"),
    *("euc_kr", "iso2022_kr", "johab"),
}
NOT_IN_NAMES = re.compile("[^a-z0-9]")
# By names of letters and digits alone: Python's, and those of the register that it does not know.
NAMES = {
    **{NOT_IN_NAMES.sub("", name): codec for name, codec in aliases.items() if codec in CODECS},
    **{NOT_IN_NAMES.sub("", codec): codec for codec in CODECS},
    **{"windows31j": "cp932", "windows874": "cp874", "windows936": "gbk", "windows949": "cp949", "gb231280": "gb2312"},
    **{"iso88596e": "iso8859_6", "iso88596i": "iso8859_6", "iso88598e": "iso8859_8", "iso88598i": "iso8859_8"},
    **{"xsjis": "cp932", "unicode11utf8": "utf_8"},
}
# Byte order marks; of UTF-32 first, whose little-endian one begins with that of UTF-16.
MARKS = {
    **dict.fromkeys((b"\xff\xfe\0\0", b"\0\0\xfe\xff"), "utf_32"),
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "utf_16"),
}
ANY_MARK = tuple(MARKS)


def media_type(value: str) -> str:
    """`"Image/PNG; q=1"` → `"image/png"`."""
    return value.partition(";")[0].strip().lower()


def is_media_type(value: str) -> bool:
    return MEDIA_TYPE.fullmatch(value) is not None


def named_type(value: str) -> str:
    """The media type, "" for one that names no format: `"image/*"` → `""`."""
    return "" if "*" in value or value in UNTYPED else value


def is_json(media: str) -> bool:
    """RFC 8259's type, or one built on it (RFC 6839, section 3.1)."""
    return media in ("application/json", "text/json") or media.endswith("+json")


def codec_of(declared: str, data: bytes = b"") -> str:
    """Python's codec for the charset of a Content-Type; UnsupportedMedia for one that is not known.

    Where none is declared, the byte order mark that `data` begins with decides; without one it is "utf_8".
    """
    found = CHARSET.search(declared) if ";" in declared else None
    if found is None:
        if not data.startswith(ANY_MARK):
            return "utf_8"
        return next(codec for mark, codec in MARKS.items() if data.startswith(mark))
    name = NOT_IN_NAMES.sub("", found[1].lower())
    codec = NAMES.get(name) or NAMES.get(name.removeprefix("x")) or NAMES.get(name.removeprefix("cs"))
    if codec is None:
        raise UnsupportedMedia(
            f"charset {shown(found[1])}: not known here; send UTF-8, or a charset of IANA's register"
        )
    return codec


def decode_text(data: bytes, declared: str, what: str = "the text") -> str:
    """The text, decoded as its Content-Type declares, without a byte order mark.

    Raises UnsupportedMedia for an unknown charset, MalformedInput for bytes that are not of the charset.
    """
    codec = codec_of(declared, data)
    try:
        return data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        name = codec.upper().replace("_", "-")
        raise MalformedInput(f"{what} is not {name}: byte {error.start} is {data[error.start]:#04x}") from None


def negotiate(accept: str, offers: tuple[str, ...]) -> str:
    """The offer the sender ranks highest, the first of equals; NotAcceptable when none fits.

    accept: the header's value, "" for anything. offers: media types, the task's default first.
    """
    if accept.strip() in ("", "*/*"):
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
