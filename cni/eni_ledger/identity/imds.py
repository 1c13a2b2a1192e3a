"""The ID of the trunk ENI, from the instance metadata service, version 2.

Source: AWS, "Use the Instance Metadata Service to access instance metadata": a session token by PUT, then categories by
GET. `network/interfaces/macs/<mac>/interface-id` has the ENIs that are attached to the instance: the trunk, not its
branches. `AWS_EC2_METADATA_SERVICE_ENDPOINT` and `AWS_EC2_METADATA_DISABLED` mean what they mean to the AWS SDKs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from http import HTTPStatus

from eni_ledger.base.addresses import mac_text
from eni_ledger.base.http_client import HttpError, HttpServer, HttpTimeout
from eni_ledger.identity.source import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

ENDPOINT = "http://169.254.169.254"
TOKEN_SECONDS = 300
ANSWER_MAX = 64 << 10

_ENI = re.compile(r"eni-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d")


class Imds:
    """The service at the endpoint that the environment names, by default EC2's. It is asked once for each MAC."""

    name = "imds"
    gives = frozenset(("trunk_eni_id",))
    past = False

    def __init__(self, timeout_s: float = 2.0, env: Mapping[str, str] = os.environ) -> None:
        self._timeout_s = timeout_s
        self._disabled = env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        self._endpoint = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ENDPOINT
        self._token = ""
        self._known: dict[str, str | None] = {}

    def ask(self, association: Fields) -> Fields:
        """Return the ENI ID of the association's trunk. Raises Unavailable where there is no such service."""
        mac = mac_text(association.get("trunk_mac"))
        if mac is None:
            return {}
        if mac not in self._known:
            text = self.get(f"network/interfaces/macs/{mac}/interface-id")
            self._known[mac] = text if text and _ENI.fullmatch(text) else None
        eni = self._known[mac]
        return {"trunk_eni_id": eni} if eni else {}

    def region(self) -> str | None:
        """Return the instance's region, None if the service does not have it. Raises Unavailable."""
        text = self.get("placement/region")
        return text if text and _REGION.fullmatch(text) else None

    def get(self, category: str) -> str | None:
        """Return the text of a category below `meta-data/`, None when there is none. Raises Unavailable."""
        if not self._token:
            ttl = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            status, self._token = self._request("PUT", "/latest/api/token", ttl)
            if status != HTTPStatus.OK or not self._token.isprintable():
                self._token = ""
                raise Unavailable("the metadata service gives no token", f"{self._endpoint}: status {status}")
        headers = {"X-aws-ec2-metadata-token": self._token}
        status, text = self._request("GET", f"/latest/meta-data/{category}", headers)
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status != HTTPStatus.OK:
            raise Unavailable("the metadata service refuses to answer", f"{self._endpoint}: status {status}")
        return text.strip()

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        if self._disabled:
            raise Unavailable("the metadata service is disabled", "AWS_EC2_METADATA_DISABLED=true")
        try:
            answer = self._server().request(method, path, headers=headers)
        except HttpTimeout as exc:
            hint = "on EC2, is it enabled for the instance?"
            raise Unavailable("the metadata service does not answer in time", f"{self._endpoint}: {exc}", hint) from exc
        except HttpError as exc:
            raise Unavailable("the metadata service cannot be asked", f"{self._endpoint}: {exc}") from exc
        return answer.status, answer.body.decode("ascii", "replace")

    def _server(self) -> HttpServer:
        try:
            return HttpServer(self._endpoint, self._timeout_s, ANSWER_MAX)
        except ValueError as exc:
            hint = f"for example {ENDPOINT}"
            msg = "AWS_EC2_METADATA_SERVICE_ENDPOINT is no http URL"
            raise Unavailable(msg, f"{self._endpoint!r:.80}", hint) from exc
