"""One structured journal entry for each ledger event, in systemd's native journal protocol.

Source of the format: systemd's "Native Journal Protocol" document. An entry is one datagram to a Unix
socket, a sequence of fields: ``NAME=value\\n``, or for a value that is not plain printable text
``NAME\\n``, its length in bytes as a 64-bit little-endian number, the bytes, ``\\n``. No value can end its
field early, so none can add a field. An entry too large for a datagram is written to a sealed memfd and
only the descriptor is sent.

The fields are the event's keys in upper case: ``vlan_id`` is ``VLAN_ID``; a list is one field for each
element. What differs:

* ``seq`` ``ts`` ``v`` ``crc`` are ``LEDGER_SEQ`` ``LEDGER_TS`` ``LEDGER_V`` ``LEDGER_CRC``;
* a key that would be read as one of the journal's own fields gets ``LEDGER_`` before it, and a key that
  makes no valid field name is left out;
* a list of objects (a checkpoint's ``live``) is only counted: ``LIVE_COUNT``;
* ``IP`` has each address without its prefix length, so that one from a flow log can be looked up as it is;
* ``MESSAGE`` is a sentence for people, always one line; ``MESSAGE_ID`` is fixed for each kind of event and
  leads to its text in the message catalog, ``conf/journald/eni-ledger.catalog``.

On the ADD path: standard library only, and `_socket` and `fcntl` only once something is sent. Nothing here
raises or blocks; the return value says whether the entry was sent.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from eni_ledger.base.events import Fields

#: Where journald listens. The ECS agent's container has the second and no /run/systemd.
SOCKETS = ("/run/systemd/journal/socket", "/var/run/systemd/journal/socket")

#: MESSAGE_ID for each kind of event. Published: these never change.
MESSAGE_IDS = {
    "add": "73b7e490a78e4a0798e9851ad22c8312",
    "add_failed": "24cbdf36737e40e49c0ae5e4d45cb620",
    "del": "1efeb53894dd488abebe5694412599bf",
    "identify": "9ffe8853cf1445f3a675c0cab8fa75fe",
    "adopt": "a91eda776175462ea0d3185a28abdf68",
    "lost": "9cd85484b31f426297cc8227e648c45f",
    "boot": "3e0e0644237640049b8cbdf09b3d566a",
    "checkpoint": "78f546263bd6486b8abac0ae5dd86732",
    "import": "6f24571a8e184653ad3fd66a5a47bbe2",
}

#: MESSAGE_ID of "an event could not be recorded".
FAILURE_ID = "6e72e5f6e31a4ffdb8091d26d7b0db51"

ERROR, WARNING, INFO = 3, 4, 6  # syslog priorities
_FACILITY = "3"  # daemon
_RENAMED = {"seq": "LEDGER_SEQ", "ts": "LEDGER_TS", "v": "LEDGER_V", "crc": "LEDGER_CRC"}
# Names that journald, journalctl or a syslog forwarder understand, see systemd.journal-fields(7).
_RESERVED = ("MESSAGE", "PRIORITY", "SYSLOG_", "CODE_", "OBJECT_", "COREDUMP_", "LEDGER_")
_RESERVED_NAMES = ("ERRNO", "TID", "UNIT", "USER_UNIT", "INVOCATION_ID", "DOCUMENTATION", "IP")
_NAME_MAX = 64
# journald throws away an entry of more than 1024 fields; its own metadata counts too.
_FIELDS_MAX = 900
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME_CHARS = _LETTERS | frozenset("0123456789_")


def send(event: Fields, *, extra: Mapping[str, Any] | None = None, sockets: Sequence[str] = SOCKETS) -> bool:
    """Send the journal entry of one ledger event and return whether journald took it.

    `event` is flat, keys as in the ledger; `extra` has further keys for the journal only. `sockets` are tried
    in order until one is there. Never raises, never blocks; no journald, or one with a full queue, is False.
    """
    try:
        kind = event.get("event")
        entry = _head(_sentence(event), MESSAGE_IDS.get(str(kind)), _priority(event))
        _add_fields(entry, event)
        if extra:
            _add_fields(entry, extra)
        return _transmit(_encode(entry), sockets)
    except Exception:  # the journal is optional: no fault in it may fail the call
        return False


def send_failure(message: str, fields: Mapping[str, Any] | None = None, *, sockets: Sequence[str] = SOCKETS) -> bool:
    """Send "an event could not be recorded", priority 3, and return whether journald took it.

    `message` is the sentence, `fields` the rest, with the keys of an event. Never raises, never blocks.
    """
    try:
        entry = _head(_shown(message, 1000), FAILURE_ID, ERROR)
        _add_fields(entry, fields or {})
        return _transmit(_encode(entry), sockets)
    except Exception:  # as above
        return False


def field_name(key: str) -> str | None:
    """Return the journal field for an event key (A-Z, 0-9, _, a letter first, up to 64), or None."""
    renamed = _RENAMED.get(key)
    if renamed:
        return renamed
    name = key.upper() if key.isascii() else ""
    if name.startswith(_RESERVED) or name in _RESERVED_NAMES:
        name = "LEDGER_" + name
    if not name or len(name) > _NAME_MAX or name[0] not in _LETTERS or not _NAME_CHARS.issuperset(name):
        return None
    return name


def _head(sentence: str, message_id: str | None, priority: int) -> list[tuple[str, str]]:
    entry = [
        ("MESSAGE", sentence),
        ("PRIORITY", str(priority)),
        ("SYSLOG_IDENTIFIER", "eni-ledger"),
        ("SYSLOG_FACILITY", _FACILITY),
    ]
    if message_id:
        entry.append(("MESSAGE_ID", message_id))
    return entry


def _priority(event: Fields) -> int:
    notable = event.get("event") in ("add_failed", "lost") or event.get("mismatch") or event.get("error_msg")
    return WARNING if notable else INFO


def _add_fields(entry: list[tuple[str, str]], event: Fields) -> None:
    for key, value in event.items():
        name = field_name(key)
        if name is None or value is None:
            continue
        if not isinstance(value, (list, tuple)):
            entry.append((name, _plain(value)))
        elif any(isinstance(item, dict) for item in value):
            entry.append((name + "_COUNT", str(len(value))))
        else:
            entry.extend((name, _plain(item)) for item in value)
    entry.extend(("IP", address) for address in _bare_addresses(event))


def _plain(value: object) -> str:
    """Return a value as text: true and false as in the ledger, an object as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, dict, list, tuple)) or value is None:
        from eni_ledger.base.minijson import dumps  # only for keys of a later version

        return dumps(value)
    return str(value)


def _bare_addresses(event: Fields) -> list[str]:
    addresses = event.get("addresses")
    if not isinstance(addresses, (list, tuple)):
        return []
    return [address.partition("/")[0] for address in addresses if isinstance(address, str)]


def _encode(entry: list[tuple[str, str]]) -> bytes:
    if len(entry) > _FIELDS_MAX:
        entry = [*entry[:_FIELDS_MAX], ("LEDGER_FIELDS_LEFT_OUT", str(len(entry) - _FIELDS_MAX))]
    parts: list[bytes] = []
    for name, value in entry:
        # A lone surrogate has no UTF-8; the ledger keeps it as an escape, and so does this.
        data = value.encode("utf-8", "backslashreplace")
        if value.isprintable():
            parts.append(b"%b=%b\n" % (name.encode(), data))
        else:
            parts.append(b"%b\n%b%b\n" % (name.encode(), len(data).to_bytes(8, "little"), data))
    return b"".join(parts)


def _transmit(payload: bytes, sockets: Sequence[str]) -> bool:
    import _socket  # an ADD without journald does without
    from errno import EAGAIN, EMSGSIZE, ENOBUFS

    # Close on exec: a delegate that is started meanwhile must not inherit it.
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        for path in sockets:
            try:
                sock.sendto(payload, _socket.MSG_DONTWAIT, path)
            except OSError as error:
                if error.errno in (EMSGSIZE, ENOBUFS):
                    return _transmit_memfd(sock, payload, path)
                if error.errno == EAGAIN:
                    return False  # journald is there and does not keep up; the other path is the same socket
                continue
            return True
        return False
    finally:
        sock.close()


def _transmit_memfd(sock: Any, payload: bytes, path: str) -> bool:
    """Send `payload` as a descriptor. Sealed, since an unsealed one journald has to copy. Raises OSError."""
    import _socket  # an ADD without journald does without
    import fcntl

    fd = os.memfd_create("eni-ledger-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(payload)
        while rest:
            rest = rest[os.write(fd, rest) :]
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
        sock.sendmsg([], [rights], _socket.MSG_DONTWAIT, path)
    finally:
        os.close(fd)
    return True


# --- MESSAGE ---


def _shown(value: object, limit: int = 80) -> str:
    """Return a value for a sentence: one line, escaped if it would not print, cut at `limit` characters."""
    text = str(value)
    if len(text) > limit:
        text = text[:limit] + "…"
    return text if text.isprintable() else repr(text)[1:-1]


def _sentence(event: Fields) -> str:
    kind = str(event.get("event"))
    live = event.get("live")
    count = len(live) if isinstance(live, (list, tuple)) else 0
    if kind == "boot":
        text = f"{_host(event)} booted (boot ID {_shown(event.get('boot_id', 'unknown'))})"
        return f"{text}; associations of earlier boots have ended"
    if kind == "checkpoint":
        return f"ledger checkpoint: {count} live association{'' if count == 1 else 's'}"
    sentence = f"{_subject(event)} {_verb(kind, event)}{_whose(event)}"
    mismatch = event.get("mismatch")
    if mismatch:
        names = mismatch if isinstance(mismatch, (list, tuple)) else [mismatch]
        sentence += "; not as declared: " + ", ".join(_shown(name) for name in names)
    if kind != "add_failed" and event.get("error_msg"):
        sentence += "; not seen in the kernel: " + _shown(event["error_msg"], 400)
    if event.get("spooled"):
        sentence += "; waits in the spool"
    return sentence


def _host(event: Fields) -> str:
    return _shown(event.get("instance_id") or "host")


def _subject(event: Fields) -> str:
    """Return what joined: ``branch eni-0a1 vlan 101 10.0.32.4 on trunk enp40s0``, as far as it is known."""
    mac = event.get("branch_mac") or event.get("observed_mac") or event.get("declared_mac")
    eni, vlan = event.get("eni_id"), event.get("vlan_id")
    if vlan is not None:
        words = ["branch", eni or mac or event.get("ifname"), "vlan", vlan]
    elif eni or event.get("protocol") == "default":
        words = ["ENI", eni or mac]
    else:
        words = ["interface", event.get("ifname"), mac]
    words += [",".join(_bare_addresses(event)[:4])]
    trunk = event.get("trunk_ifname") or event.get("trunk_mac") or event.get("trunk_eni_id")
    if trunk:
        words += ["on trunk", trunk]
    return " ".join(_shown(word) for word in words if word not in (None, ""))


def _verb(kind: str, event: Fields) -> str:
    inode = event.get("netns_inode")
    netns = f"netns {_shown(event.get('netns', 'unknown') if inode is None else inode)}"
    if kind == "add_failed":
        why = _shown(event.get("error_msg") or "no message", 400)
        return f"did not join {netns}: error {_shown(event.get('error_code', 'unknown'))}, {why}"
    return {
        "add": f"joined {netns}",
        "del": f"left {netns}",
        "identify": "identified",
        "adopt": f"was found in {netns}, joined unrecorded",
        "lost": f"is gone from {netns} without a DEL",
        "import": f"imported: joined {netns}",
    }.get(kind, _shown(kind))


def _whose(event: Fields) -> str:
    words = []
    if event.get("container_id"):
        words.append("container " + _shown(str(event["container_id"])[:12]))
    if event.get("task_arn"):
        words.append("task " + _shown(str(event["task_arn"]).rpartition("/")[2], 40))
    return f" ({', '.join(words)})" if words else ""
