"""The in-toto statement that is signed: the OpenSSF's manifest of a model, here of a single file.

https://github.com/ossf/model-signing-spec
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from trust.errors import SignatureError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
THE_FILE = "."  # a file's path relative to itself
HOW = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}


def write(name: str, sha256: str) -> bytes:
    """The statement that a file, called `name` when it was signed, has this SHA-256."""
    return json.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": root([sha256])}}],
            "predicateType": PREDICATE,
            "predicate": {
                "serialization": HOW,
                "resources": [{"name": THE_FILE, "algorithm": "sha256", "digest": sha256}],
            },
        }
    ).encode()


def root(digests: list[str]) -> str:
    """The one digest of a manifest: SHA-256 of its digests' bytes, one after the other."""
    return hashlib.sha256(b"".join(bytes.fromhex(each) for each in digests)).hexdigest()


def digest_in(statement: bytes) -> str:
    """The SHA-256 of the one file that a statement is about. Raises SignatureError.

    The file's name is not compared: an archive may have another name in another store.
    """
    try:
        values = json.loads(statement)
        return digest_of(values)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        raise SignatureError("its statement cannot be read") from None


def digest_of(values: dict[str, Any]) -> str:
    for key, wanted in (("_type", STATEMENT), ("predicateType", PREDICATE)):
        if values[key] != wanted:
            raise SignatureError(f"its statement has {key} {values[key]!r}; wanted {wanted}")
    how, resources = values["predicate"]["serialization"], values["predicate"]["resources"]
    if (how["method"], how["hash_type"]) != ("files", "sha256"):
        raise SignatureError(
            f"it was made over {how['method']} with {how['hash_type']}; wanted whole files with sha256, the default"
        )
    if [resource["name"] for resource in resources] != [THE_FILE]:
        raise SignatureError(f"it signs a folder of {len(resources)} files; wanted this file alone")
    digest = resources[0]["digest"]
    if resources[0]["algorithm"] != "sha256" or len(bytes.fromhex(digest)) != hashlib.sha256().digest_size:
        raise SignatureError("its statement holds no SHA-256")
    if [subject["digest"]["sha256"] for subject in values["subject"]] != [root([digest])]:
        raise SignatureError("its statement contradicts itself: the subject's digest is not that of the manifest")
    return str(digest)
