"""The address of an archive with its pinned hash: s3://bucket/models/imagenet.mar#sha256=…"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from deploy.errors import DeployError

MAX_SIGNATURE = 1 << 20  # bytes
# Scheme → module that its back end needs; None for the standard library.
SCHEMES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "hf": "huggingface_hub",
    "https": "requests",
    "oci": "oras",
    "file": None,
}
# The same as in config.properties.
NAME = re.compile(r"[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*[.]mar")
MAX_NAME = 200  # a file's may have 255, and a partial one's says more
PIN = re.compile(r"sha256=([0-9a-f]{64})")


@dataclass(frozen=True)
class Source:
    """url: without the pin; its query may contain a secret. sha256: of the archive, 64 hexadecimal digits."""

    url: str = field(repr=False)
    sha256: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DeployError, with nothing in its message that could be a secret."""
        url, hash_mark, pin = text.rpartition("#") if "#" in text else (text, "", "")
        shown = without_credentials(url)
        try:
            parts = urlsplit(url)
            credentials = parts.username is not None or parts.password is not None
            _ = parts.port
        except ValueError:
            raise DeployError(f"{shown}: this address of an archive cannot be read") from None
        if parts.scheme not in SCHEMES:
            raise DeployError(f"{shown}: wanted one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
        if credentials and parts.scheme != "hf":  # hf://owner/name@revision/…
            raise DeployError(
                f"{shown}: credentials in an address would end up in logs; they are read from where "
                f"{parts.scheme}'s own tools store them"
            )
        if not parts.netloc and parts.scheme != "file":
            raise DeployError(f"{shown}: nothing is named after {parts.scheme}://")
        found = PIN.fullmatch(pin)
        if found is None:
            raise DeployError(
                f"{shown}: wanted #sha256= and 64 hexadecimal digits after it, as `sha256sum` prints them; "
                f"got {described(hash_mark + pin) if pin else 'nothing'}"
            )
        if "#" in url:
            raise DeployError(f"{shown}: the address has a # of its own, which is written %23")
        source = cls(url, found[1])
        if source.scheme != "oci":
            check_name(source.name, shown)
        return source

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def name(self) -> str:
        """The file name in the address. For archives in a registry see OciBlob."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def shown(self) -> str:
        return without_credentials(self.url)


def check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        wanted = f"wanted at most {MAX_NAME} letters, digits, _, - and .mar"
        raise DeployError(f"{where}: {name[:80]!r} is not a name for an archive; {wanted}")


def described(pin: str) -> str:
    """A wrong pin, unless it may be the rest of a password."""
    return pin[:80] if re.fullmatch(r"#[\w=:.-]*", pin) else f"{len(pin)} other characters"


def without_credentials(url: str) -> str:
    """An address as it may be logged: without user names, passwords and queries, whatever characters are in them."""
    address, query, _ = url.partition("?")
    scheme, separator, rest = address.rpartition("://")
    if re.match(r"[^/[]*:(?!\d{0,5}(/|$))", rest):  # not a port: a password, in which there may be a slash
        rest = re.sub(r":[^/]*", ":…", rest, count=1) if "@" not in rest else rest.rpartition("@")[2]
    else:
        rest = re.sub(r"^[^/]*@", "", rest)
    return scheme + separator + rest + ("?…" if query else "")


def without_secrets(text: str) -> str:
    """A message with addresses in it, without their user names and queries: a signed one grants access."""
    without_users = re.sub(r"(?<=://)[^/\s@]*@", "", text)
    return re.sub(r"\?[^\s'\")>]+", "?…", without_users)
