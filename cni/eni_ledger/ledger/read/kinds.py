"""What a text that is asked for is taken for: its kind, and the form in which it is compared.

The same thing is written in several ways: an IPv4 address as IPv6, a MAC with dots, a namespace by the path that the
ECS agent's container has for it. A kind may be named before a colon: `vlan:102`, `family:api`. A reserved word always
names the kind: the revision 3 of a family called `vlan` is `family:vlan:3`.
"""

from __future__ import annotations

from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.read import spelling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Found = tuple[str, Any]

# Rare forms take a regular expression, and `re` costs as much to load as all of the ledger.
_VLAN = r"(?ai)vlan(?:[\s_-]*id)?[\s:=#_-]*([0-9]{1,9})"
_LIKE_IPV4 = r"[0-9]+(?:\.[0-9]*)+(?:/[0-9]*)?"
_PORT = r"(.+):[0-9]{1,5}"
EXAMPLES = (
    "an IP, a CIDR, a MAC, a VLAN ID, eni-..., a container, a task, a family or family:revision, a service, a cluster, "
    "a trunk, an instance, a network namespace, a PID"
)

_OF_A_NAME = "a family, cluster or service is letters, digits, - and _; family:revision/task is as tables print it"


def classify(text: str) -> tuple[str, Any]:
    """Return the kind of what `text` stands for, see `Query`, and its normal form. Raises UsageError."""
    text = _without_marks(text.strip())
    if spelling.is_ipv4(text):
        return "ip", text
    if mac := spelling.mac_of(text):
        return "mac", mac
    if text[:4].lower() == "eni-":
        return "eni", spelling.eni_id(text.lower(), text)
    if text[:6].lower() == "assoc-" and spelling.is_hex(text[6:].lower(), 1):
        return "association", text.lower()
    if text.startswith("/"):
        return "path", index_keys.netns_path(text)
    if spelling.is_number(text):
        return "number", text
    if text.startswith("net:[") and text.endswith("]") and spelling.is_number(text[5:-1]):
        return "netns", int(text[5:-1])
    if spelling.is_name(text) and "." not in text and not text.lower().startswith("vlan"):
        return "name", text
    return _classify_word(text)


def _without_marks(text: str) -> str:
    """Return a text without what tables put behind a value: `!` where the kernel shows another, `+2` for two more."""
    head, plus, more = text.rpartition(" +")
    return (head if plus and spelling.is_number(more) else text).removesuffix("!")


def _classify_word(text: str) -> tuple[str, Any]:
    """Classify what is less often asked for, and takes more to tell."""
    word, colon, value = text.partition(":")
    if colon and (_is_kind(word) or word == "arn"):
        return _classify_as(word, value.strip(), text)
    if not text.lower().startswith("vlan") and (found := _owner(text)):
        return found
    if "/" in text and (network := spelling.cidr_of(text)):
        address, low, high = network
        return ("ip", address) if low == high else ("cidr", (low, high))
    import re  # the common kinds do without

    if matched := re.fullmatch(_VLAN, text):
        return "vlan", spelling.vlan_id(int(matched[1]), text)
    if found := _owner(text):
        return found
    if mac := spelling.short_mac(text):
        return "mac", mac
    if ip := spelling.address_of(text):
        return "ip", ip
    if re.fullmatch(_LIKE_IPV4, text):
        raise UsageError("not an IP address", f"{text!r:.80}", "an IPv4 address is four numbers up to 255: 10.0.32.4")
    if spelling.is_name(text):
        return "name", text
    port = re.fullmatch(_PORT, text)
    if port and (spelling.is_ipv4(port[1]) or spelling.address_of(port[1])):
        raise UsageError("that is an address and a port", f"{text!r:.80}", f"eni-ledger who {port[1]}")
    if colon and spelling.is_name(word):
        raise UsageError(f"there is no kind {word!r:.40}", f"{text!r:.80}", HINT)
    raise UsageError("that cannot be looked for", f"{text!r:.80}", f"give {EXAMPLES}")


def _is_kind(word: str) -> bool:
    """Tell whether a word before a colon names a kind."""
    return word.lower() in _KINDS


def _classify_as(word: str, value: str, text: str) -> Found:
    """Return kind and normal form of `value`, which `text` says is of the kind `word`, or an ARN.

    Raises UsageError for a value that cannot be of that kind.
    """
    if word == "arn":
        return _arn(text)
    if not value:
        raise UsageError("nothing stands behind the kind", f"{text!r:.80}", HINT)
    return _KINDS[word.lower()](value, text)


def _owner(text: str) -> Found | None:
    """Return what a name of a task or of its task definition stands for, None when it is none.

    `family:revision`; `family:revision/start of the task ID` and `family/start`, as tables print them, in which the
    name may be that of the cluster (as in an ARN) or of the service; `cluster/service`.
    """
    name, slash, start = text.partition("/")
    family, colon, revision = name.partition(":")
    if not spelling.is_name(family) or "." in family or (colon and not spelling.is_number(revision)):
        return None
    if not slash:
        return ("revision", (family, str(int(revision)))) if colon else None
    if spelling.is_start_of_id(start):
        return "task_of", (family, str(int(revision)) if colon else None, start)
    return ("service", (start, family)) if spelling.is_name(start) and not colon else None


def _ip(value: str, text: str) -> Found:
    found = value if spelling.is_ipv4(value) else spelling.address_of(value.partition("/")[0])
    if found is None:
        raise _not_of("an IP address", text, "10.0.32.4, or an IPv6 address")
    return "ip", found


def _cidr(value: str, text: str) -> Found:
    found = spelling.cidr_of(value)
    if found is None:
        raise _not_of("a CIDR", text, "10.0.32.0/20")
    return "cidr", found[1:]


def _mac(value: str, text: str) -> Found:
    found = spelling.mac_of(value) or spelling.bare_mac(value) or spelling.short_mac(value)
    if found is None:
        raise _not_of("a MAC", text, "a MAC is six pairs of hex digits: 0a:36:bf:4e:57:7e")
    return "mac", found


def _vlan(value: str, text: str) -> Found:
    return "vlan", spelling.vlan_id(int(value) if spelling.is_number(value) else 0, text)


def _eni(value: str, text: str) -> Found:
    return "eni", spelling.eni_id(value.lower(), text)


def _association(value: str, text: str) -> Found:
    digits = value.lower().removeprefix("assoc-")
    if not spelling.is_hex(digits, 1):
        raise _not_of("an association ID", text, "assoc- and 17 hex digits, or its start")
    return "association", f"assoc-{digits}"


def _container(value: str, text: str) -> Found:
    return "container", _named(value, text)


def _task(value: str, text: str) -> Found:
    if value.startswith("arn:") and ":task/" in value:
        return "task", value
    if found := _owner(value) if "/" in value else None:
        return found
    return "task_id", _named(value, text)


def _family(value: str, text: str) -> Found:
    if value.startswith("arn:") and ":task-definition/" in value:
        return _arn(value)
    found = _owner(value)
    if found and found[0] == "task_of":
        return "task_of_family", found[1]
    return found if found and found[0] == "revision" else ("family", _named(value, text))


def _service(value: str, text: str) -> Found:
    if value.startswith("arn:") and ":service/" in value:
        return _arn(value)
    cluster, slash, name = value.rpartition("/")
    return "service", (_named(name, text), _named(cluster, text) if slash else None)


def _cluster(value: str, text: str) -> Found:
    return "cluster", _named(value.partition(":cluster/")[2] if value.startswith("arn:") else value, text)


def _trunk(value: str, text: str) -> Found:
    if mac := spelling.mac_of(value) or spelling.bare_mac(value):
        return "trunk_mac", mac
    if value[:4].lower() == "eni-":
        return "trunk_eni", spelling.eni_id(value.lower(), text)
    return "trunk", _named(value, text)


def _instance(value: str, text: str) -> Found:
    return "instance", _named(value, text)


def _netns(value: str, text: str) -> Found:
    if value.startswith("net:[") and value.endswith("]"):
        value = value[5:-1]
    if spelling.is_number(value):
        return "netns", int(value)
    return "path", index_keys.netns_path(value if value.startswith("/") else f"/run/netns/{_named(value, text)}")


def _pid(value: str, text: str) -> Found:
    if not spelling.is_number(value):
        raise _not_of("a PID", text, "pid:2577")
    return "pid", int(value)


_KINDS: dict[str, Callable[[str, str], Found]] = {
    "ip": _ip,
    "cidr": _cidr,
    "mac": _mac,
    "vlan": _vlan,
    "eni": _eni,
    "container": _container,
    "task": _task,
    "family": _family,
    "service": _service,
    "cluster": _cluster,
    "trunk": _trunk,
    "instance": _instance,
    "netns": _netns,
    "pid": _pid,
    "association": _association,
}

HINT = f"a kind is one of {', '.join(_KINDS)}: vlan:102, family:api"


def _arn(text: str) -> Found:
    """Return what an ARN names. Raises UsageError for one of what the ledger does not know."""
    _, _, resource = text.partition("arn:")
    kind, slash, rest = resource.rpartition(":")[2].partition("/")
    if ":task-definition/" in text:
        kind, slash, rest = "task-definition", "/", text.partition(":task-definition/")[2]
    if slash and kind == "task":
        return "task", text
    if slash and kind == "network-interface":
        return "eni", spelling.eni_id(rest, text)
    if slash and kind in ("service", "cluster", "instance"):
        return _KINDS[kind](rest, text)
    if slash and kind == "task-definition":
        return _family(rest, text)
    known = "the ledger knows tasks, task definitions, services, clusters, instances and network interfaces"
    raise UsageError("an ARN of something that is not recorded", f"'{text:.80}'", known)


def _named(value: str, text: str) -> str:
    """Return a value that may be a name or an ID. Raises UsageError, which names `text`."""
    if not spelling.is_name(value):
        raise UsageError("not a name or an ID", f"{text!r:.80}", _OF_A_NAME)
    return value


def _not_of(what: str, text: str, hint: str) -> UsageError:
    return UsageError(f"not {what}", f"{text!r:.80}", hint)
