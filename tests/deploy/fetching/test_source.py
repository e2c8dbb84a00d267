"""Addresses of archives: read, refused, and shown without secrets."""

from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.fetching.command import fetch_all
from deploy.fetching.source import Source
from tests.deploy.fetching.conftest import BUCKET, CONTENT, NAME, PIN

URL = f"s3://{BUCKET}/a/{NAME}"
WITH_PASSWORDS = [
    f"{scheme}://{user}@host/{NAME}"
    for scheme in ("https", "s3", "gs", "az", "ftp")
    for user in (
        "user:password",
        "password",
        "user:pass/password",
        "user:p@password",
        "user:p#password",
        "a:p:password",
    )
] + [f"https://user:password?x@host/{NAME}", f"user:password@host/{NAME}", "oci://user:password@host/models:1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"ftp://host/{NAME}{PIN}", "wanted one of s3://"),
        (NAME, "wanted one of s3://"),
        (URL, "wanted #sha256="),
        (f"{URL}#sha256=123", "got #sha256=123"),
        (f"{URL}#md5={'0' * 64}", "wanted #sha256="),
        (f"s3://bucket/a.tar{PIN}", "'a.tar' is not a name"),
        (f"s3://bucket/..mar{PIN}", "is not a name"),
        (f"s3://bucket/a%2f..%2fb.mar{PIN}", "is not a name"),
        (f"s3://bucket/.hidden.mar{PIN}", "is not a name"),
        (f"s3://bucket/{'a' * 200}.mar{PIN}", "is not a name"),
        (f"https:///{NAME}{PIN}", "nothing is named after https://"),
        (f"https://host/{NAME}#a{PIN}", "has a # of its own"),
        (f"https://host/{NAME}{PIN}{PIN}", "has a # of its own"),
        (f"https://[host/{NAME}{PIN}", "cannot be read"),
        *((address + PIN, "") for address in WITH_PASSWORDS),
        *((address, "") for address in WITH_PASSWORDS),
    ],
)
def test_a_wrong_address_is_named_without_its_secrets(text: str, said: str) -> None:
    with pytest.raises(DeployError) as raised:
        Source.parse(text)
    assert said in str(raised.value)
    assert "password" not in str(raised.value)


def test_all_that_is_wrong_is_said_before_anything_is_fetched(tmp_path: Path, store: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    with pytest.raises(DeployError, match=r"wanted one of.*wanted #sha256"):
        fetch_all([f"file://{tmp_path / NAME}{PIN}", "ftp://a/b.mar", "s3://a/b.mar"], store)
    assert not store.exists()


@pytest.mark.parametrize(
    "url",
    [
        f"https://host:8443/models@1/{NAME}",
        f"https://[::1]:8443/models@1/{NAME}",
        f"s3://bucket/models@1/{NAME}",
        f"hf://owner/name@main/{NAME}",
        f"oci://localhost:5000/models/tiny@sha256:{'0' * 64}",
        f"file:///models@1/{NAME}",
    ],
)
def test_an_address_without_secrets_is_shown_as_it_is(url: str) -> None:
    assert Source.parse(url + PIN).shown == url


def test_a_signed_address_s_secret_is_not_shown() -> None:
    source = Source.parse(f"https://host/{NAME}?X-Amz-Signature=abc&token=def{PIN}")
    assert source.name == NAME
    assert "abc" not in source.shown + repr(source)
    assert source.shown == f"https://host/{NAME}?…"
