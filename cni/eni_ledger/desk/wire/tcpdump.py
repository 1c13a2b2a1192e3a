"""The tcpdump command that sees the packets of one association and no others.

The trunk carries the packets of all branches. `vlan` in a filter of pcap-filter(7) moves the offsets of what follows
it, so it stands before the caller's own expression.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence

from eni_ledger.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

PROGRAM = "tcpdump"
# tcpdump(1), version 4.99: needed to find where its options end and the expression begins.
_SHORT = "aAbB:c:C:dDeE:fF:G:hHi:Ij:JKlLm:M:nNOpqQ:r:s:StT:uUvvvV:w:W:xXy:Yz:Z:#"
_LONG = [
    *("buffer-size=", "list-interfaces", "help", "interface=", "list-remote-interfaces=", "monitor-mode", "count"),
    *("time-stamp-type=", "list-time-stamp-types", "dont-verify-checksums", "list-data-link-types", "no-optimize"),
    *("no-promiscuous-mode", "direction=", "snapshot-length=", "snaplen=", "linktype=", "number", "print", "version"),
    *("absolute-tcp-sequence-numbers", "packet-buffered", "immediate-mode", "time-stamp-precision=", "micro", "nano"),
    *("relinquish-privileges=", "fp-type", "lengths", "skip=", "ip-oneline"),
]
_REFUSED = {
    **dict.fromkeys(("-i", "--interface"), "the interface is that of the association"),
    **dict.fromkeys(("-r", "-V"), "a file is read by eni-ledger annotate --read"),
    "-F": "the expression stands behind the options",
}


def command(association: Fields, interface: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command line: on `interface`, with tcpdump's `arguments`, for the packets of the association only.

    A branch is told by VLAN ID and MAC; a whole ENI, captured in its namespace, needs no filter. Raises UsageError for
    arguments that tcpdump does not have, or that choose other packets.
    """
    try:
        options, expression = getopt.getopt(list(arguments), _SHORT, _LONG)
    except getopt.GetoptError as exc:
        raise UsageError("tcpdump has no such option", str(exc), "man tcpdump") from exc
    for option, _ in options:
        if option in _REFUSED:
            raise UsageError(f"tcpdump's {option} cannot be given", _REFUSED[option])
    given = list(arguments[: len(arguments) - len(expression)])
    given = given[:-1] if given[-1:] == ["--"] else given
    own = [] if any(option == "-w" for option, _ in options) else ["-e", "-n"]
    wanted = _filter(association, " ".join(expression))
    return [PROGRAM, "-i", interface, *own, *given, *([wanted] if wanted else [])]


def _filter(association: Fields, expression: str) -> str:
    """Return the filter, with the caller's `expression` behind it in parentheses."""
    terms = []
    if association.get("protocol") != "default" and association.get("vlan_id") is not None:
        terms.append(f"vlan {int(association['vlan_id'])}")
        mac = association.get("observed_mac") or association.get("branch_mac")
        if mac:
            terms.append(f"ether host {mac}")
    if not terms:
        return expression
    return " and ".join([*terms, *([f"({expression})"] if expression else [])])
