"""Which calls of a browser a server on loopback answers: those of its own page.

Any page can make a browser send requests to 127.0.0.1, and read the answers once a name of its own leads there (DNS
rebinding): the Host header is then that name.
"""

from __future__ import annotations

from email.message import Message
from ipaddress import ip_address
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """host: that a server listens on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def wrong_host(headers: Message) -> str:
    """Why a call is refused; "" where its host is this machine."""
    host = headers.get("Host", "")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    return "" if name in LOCAL else f"the host is {host[:100]!r}; wanted one of {', '.join(LOCAL)}"


def other_site(headers: Message) -> str:
    """Why a call that does something is refused; "" where no other site's page makes it."""
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    if origin in (None, f"http://{headers.get('Host')}") and site in ("none", "same-origin"):
        return ""
    return "it comes from a page of another site"
