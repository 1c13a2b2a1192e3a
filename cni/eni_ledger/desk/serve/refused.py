"""Requests that are not answered, with the HTTP status of the refusal."""

from __future__ import annotations

from eni_ledger.base.errors import EniLedgerError


class NotServed(EniLedgerError):
    """A request that is refused; `http_status` says how, `headers` are added to the answer."""

    def __init__(self, http_status: int, msg: str, details: str = "", hint: str = "", **headers: str) -> None:
        super().__init__(msg, details, hint)
        self.http_status = http_status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
