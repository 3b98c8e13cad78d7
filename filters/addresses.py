"""What web addresses say: when two name one page, and which host serves it."""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def page_of(url: str) -> str:
    """The part of an address that decides which page it is, for comparing only.

    http and https are the same, and so are hosts in capital letters, default ports, an empty path
    and `/`; fragments do not count. Everything else does: which parameters only track a visitor is
    known to nobody but the site.

    Returns:
      The comparable form; "" where the address is empty; an address that cannot be parsed as it is.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return url
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    place = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"//{user}{parts.hostname}{place}{parts.path or '/'}{query}"


def host_of(url: str) -> str:
    """The host that an address names, in small letters; "" where it names none.

    `www.` and `m.` are hosts of their own: whether they serve the same pages is known to nobody but
    the site.
    """
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""
