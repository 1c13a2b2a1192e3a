"""Who may ask: a client on this host, or one with the token; never a page of another site in a browser.

A page that a browser loaded from elsewhere reaches servers on loopback, and by DNS rebinding even under its own name.
So the Host header has to be one of ours, `Origin` the same as it, and `Sec-Fetch-Site` no other site's (Fetch Metadata
Request Headers, W3C). There is no CORS: no answer allows another origin anything.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.serve.refused import NotServed
from eni_ledger.render.text import safe

TOKEN = re.compile(r"[A-Za-z0-9._~+-]{16,256}", re.ASCII)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/", re.ASCII)
_LARGEST = 4096  # bytes of a token file

Environ = Mapping[str, Any]


def read_token(path: str) -> str:
    """Return the token in the file `path`. Raises UsageError for a file that cannot be read or has none."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace").strip()
    except OSError as exc:
        raise UsageError("the token file cannot be read", f"{path}: {exc.strerror}") from exc
    if not TOKEN.fullmatch(text):
        hint = f"head -c 24 /dev/urandom | base64 | tr '/=' '-.' >{path}"
        raise UsageError("a token is 16 to 256 letters, digits or any of . _ ~ + -", path, hint)
    return text


class Gate:
    """Admits requests. `names` are the host names of the server beside loopback's; `open_hosts` admits any address.

    With a `token` each request has to have it.
    """

    def __init__(self, names: frozenset[str], token: str | None = None, *, open_hosts: bool = False) -> None:
        self._names = names | {"localhost"}
        self._token = token.encode() if token else None
        self._open = open_hosts

    def check(self, environ: Environ) -> None:
        """Return if the request may be answered; raise NotServed (403 or 401) if not."""
        host = str(environ.get("HTTP_HOST", ""))
        if not self._is_ours(host):
            raise NotServed(403, "the Host header names another server", safe(host[:100]), "ask by the address")
        site = environ.get("HTTP_SEC_FETCH_SITE", "none")
        if site not in ("none", "same-origin"):
            raise NotServed(403, "pages of other sites may not ask", f"Sec-Fetch-Site: {safe(str(site)[:40])}")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and str(origin).lower() != f"http://{host.lower()}":
            raise NotServed(403, "pages of other sites may not ask", f"Origin: {safe(str(origin)[:100])}")
        if self._token is not None and not self._has_token(str(environ.get("HTTP_AUTHORIZATION", ""))):
            raise NotServed(
                401,
                "the token is missing or wrong",
                hint="Authorization: Bearer TOKEN; for the AWS CLI the token is the access key ID",
                WWW_Authenticate='Basic realm="eni-ledger", charset="UTF-8"',
            )

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].strip("[]").lower()
        try:
            return self._open or ip_address(name).is_loopback or name in self._names
        except ValueError:
            return name in self._names

    def _has_token(self, authorization: str) -> bool:
        assert self._token is not None  # noqa: S101 - asked only with a token
        return compare_digest(_token_in(authorization), self._token)


def _token_in(authorization: str) -> bytes:
    """Return the token of a header: Bearer, the password of Basic, or the access key ID of AWS Signature Version 4."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).partition(b":")[2]
        except ValueError:
            return b""
    signed = _SIGNED.match(authorization)
    return signed[1].encode() if signed else b""
