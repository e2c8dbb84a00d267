"""Headers of zips, which a reader by the directory and one by the headers must read alike."""

import struct
import zipfile

import pytest

from handlers.formats.zip_file import LOCAL_SIGNATURE, describes

SIZES = struct.pack("<QQ", 3, 3)


@pytest.mark.parametrize(("extra", "wanted"), [
    (b"", True),
    (struct.pack("<HH", 1, 16) + SIZES, True),
    (struct.pack("<HH", 9, 2) + b"ab" + struct.pack("<HH", 1, 16) + SIZES, True),
    (struct.pack("<HH", 1, 16) + struct.pack("<QQ", 3, 4), False),
    *((struct.pack("<HH", 1, 16) + SIZES[:length], False) for length in range(16)),
    (struct.pack("<HH", 1, 8) + SIZES, False),
    (struct.pack("<HH", 1, 65535) + SIZES[:15], False),
])  # fmt: skip
def test_the_extra_field_of_a_member(extra: bytes, wanted: bool) -> None:
    entry = zipfile.ZipInfo("a")
    entry.file_size = entry.compress_size = 3
    entry.CRC = 7
    fields = (LOCAL_SIGNATURE, 20, 0, zipfile.ZIP_STORED, 0, 0, 7, 3, 3, 1, len(extra))
    assert describes(fields, b"a", extra, entry) is wanted
