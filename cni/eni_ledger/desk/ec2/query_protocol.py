"""EC2's Query protocol: parameters of a form in, XML out ("ec2" in the service models of botocore)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from eni_ledger.desk.ec2 import associations, interfaces
from eni_ledger.desk.ec2.pages import LARGEST, page_of
from eni_ledger.desk.ec2.refusals import Refused, invalid_value
from eni_ledger.render.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
MOST_PARAMETERS = 3000
_LEFT_TO_HTTP = ("AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp", "Expires")
"""Parameters of older signatures. Signatures are not looked at: there is nothing that they could allow."""
_FILTER = re.compile(r"Filter\.([1-9][0-9]{0,3})\.(?:(Name)|Value\.([1-9][0-9]{0,3}))", re.ASCII)

Parameters = Mapping[str, str]
Filter = tuple[str, list[str]]


class _Operation:
    """One action: how its answer is chosen and written. `sets` are the XML names of the lists in it."""

    def __init__(
        self,
        result: str,
        ids: str,
        choose: Callable[[Sequence[Fields], Sequence[str], Sequence[Filter]], list[Fields]],
        item_of: Callable[[Fields], dict[str, Any]],
        sets: Mapping[str, str],
        largest: int,
    ) -> None:
        self.result = result
        self.ids = ids
        self.choose = choose
        self.item_of = item_of
        self.sets = sets
        self.largest = largest


OPERATIONS = {
    associations.OPERATION: _Operation(
        associations.RESULT,
        "AssociationId",
        associations.choose,
        associations.item_of,
        {"InterfaceAssociations": "interfaceAssociationSet", "Tags": "tagSet"},
        LARGEST,
    ),
    interfaces.OPERATION: _Operation(
        interfaces.RESULT,
        "NetworkInterfaceId",
        interfaces.choose,
        interfaces.item_of,
        {
            "NetworkInterfaces": "networkInterfaceSet",
            "PrivateIpAddresses": "privateIpAddressesSet",
            "Ipv6Addresses": "ipv6AddressesSet",
        },
        interfaces.LARGEST,
    ),
}


def parameters(form: str) -> Parameters:
    """Return the parameters of a form. Raises Refused for what is no form, and for one given twice."""
    try:
        pairs = parse_qsl(
            form, keep_blank_values=True, strict_parsing=bool(form), errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as exc:
        raise Refused("MalformedQueryString", "The query string contains a syntax error") from exc
    if len(dict(pairs)) < len(pairs):
        raise invalid_value("A parameter is given twice")
    return dict(pairs)


def operation_of(given: Parameters) -> str:
    """Return the name of the action. Raises Refused for one that is missing or not one of OPERATIONS."""
    action = given.get("Action")
    if not action:
        raise Refused("MissingAction", "The request is missing the action")
    if action not in OPERATIONS:
        known = " and ".join(OPERATIONS)
        raise Refused(
            "InvalidAction", f"The action {safe(action[:100])} is not valid for this endpoint: it has {known}"
        )
    return action


def answer(given: Parameters, live: Sequence[Fields]) -> str:
    """Return the XML that answers the request `given` with the associations `live`. Raises Refused."""
    name = operation_of(given)
    operation = OPERATIONS[name]
    ids, filters, token, size, dry = _request(given, operation)
    chosen = operation.choose(live, ids, filters)
    if dry:
        raise Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    page, following = page_of(chosen, token, size, operation.largest)
    body = {"RequestId": str(uuid4()), operation.result: [operation.item_of(one) for one in page]}
    if following:
        body["NextToken"] = following
    return _document(f'{name}Response xmlns="{NAMESPACE}"', _members(body, operation.sets))


def error(code: str, message: str) -> str:
    """Return the XML of an error."""
    body = f"<Errors><Error><Code>{_escaped(code)}</Code><Message>{_escaped(message)}</Message></Error></Errors>"
    return _document("Response", f"{body}<RequestID>{uuid4()}</RequestID>")


def _request(given: Parameters, operation: _Operation) -> tuple[list[str], list[Filter], str | None, int | None, bool]:
    """Return the IDs, filters, token, size and DryRun of a request. Raises Refused for what it should not have."""
    numbered = re.compile(re.escape(operation.ids) + r"\.([1-9][0-9]{0,3})", re.ASCII)
    ids: dict[int, str] = {}
    names: dict[int, str] = {}
    values: dict[int, dict[int, str]] = {}
    for key, value in given.items():
        if found := numbered.fullmatch(key):
            ids[int(found[1])] = value
        elif found := _FILTER.fullmatch(key):
            if found[2]:
                names[int(found[1])] = value
            else:
                values.setdefault(int(found[1]), {})[int(found[3])] = value
        elif key not in (
            "Action",
            "Version",
            "DryRun",
            "NextToken",
            "MaxResults",
            *_LEFT_TO_HTTP,
        ) and not key.startswith("X-Amz-"):
            raise Refused("UnknownParameter", f"The parameter {safe(key[:100])} is not recognized")
    if values.keys() - names.keys():
        raise invalid_value("A filter has no name")
    filters = [(name, [text for _, text in sorted(values.get(n, {}).items())]) for n, name in sorted(names.items())]
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given.get("Version", "2016-11-15"), re.ASCII):
        raise Refused("NoSuchVersion", "The specified API version does not exist")
    size = given.get("MaxResults")
    if size is not None and not re.fullmatch(r"[0-9]{1,6}", size, re.ASCII):
        raise invalid_value(f"Value ({safe(size[:40])}) for parameter MaxResults is invalid")
    dry = given.get("DryRun", "false").lower()
    if dry not in ("true", "false"):
        raise invalid_value("Value for parameter DryRun is invalid")
    return (
        [ids[n] for n in sorted(ids)],
        filters,
        given.get("NextToken") or None,
        int(size) if size else None,
        dry == "true",
    )


def _document(head: str, body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{head}>{body}</{head.partition(" ")[0]}>\n'


def _members(item: Mapping[str, Any], sets: Mapping[str, str]) -> str:
    """Return the members of an object as elements; their names begin in lower case."""
    made = []
    for key, value in item.items():
        name = sets.get(key, key[0].lower() + key[1:])
        made.append(f"<{name}>{_content(value, sets)}</{name}>")
    return "".join(made)


def _content(value: object, sets: Mapping[str, str]) -> str:
    if isinstance(value, list):
        return "".join(f"<item>{_members(one, sets)}</item>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
