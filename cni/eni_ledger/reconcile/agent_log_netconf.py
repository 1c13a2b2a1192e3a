"""The network configuration of `vpc-branch-eni` and `vpc-eni` as they log it: a Go struct printed with `%+v`.

Source: amazon-vpc-cni-plugins, `NetConfig` in `plugins/vpc-branch-eni/config/netconfig.go` (2018 to 2023) and
`plugins/vpc-eni/config/netconfig.go`, and how Go prints a pointer to a struct: `&{Name:value Name:value}`, lists in
brackets, nothing quoted. MACs and gateways print as such, an address as `{IP:10.0.32.4 Mask:fffff000}`, up to 2020
as `10.0.32.4/20`.
"""

from __future__ import annotations

import re
from typing import Any

from eni_ledger.base.addresses import cidr, ip, mac_text, vlan_number

_TEXT_MAX = 1024

_NETCONF = re.compile(r"&\{NetConf:\{CNIVersion:(\S*) Name:(.*?) Type:(\S*) (?:Capabilities|IPAM):")
_BRANCH = re.compile(r"\} (TrunkName:.*)\}\.")
_ENI = re.compile(r"\} (ENIName:.*)\} ContainerID:(\S*) Netns:(\S*) IfName:(\S*) Args:.*\.")
_MEMBER = re.compile(
    r"(?:^| )(TrunkName|TrunkMACAddress|BranchVlanID|BranchMACAddress|BranchIPAddress|BranchGatewayIPAddress"
    r"|IPAddresses|GatewayIPAddresses|BlockIMDS|InterfaceType|UserName|Tap"
    r"|ENIName|ENIMACAddress|ENIIPAddresses|OpState|UseExistingNetwork):"
)
_ADDRESS = re.compile(r"\{IP:(\S+) Mask:([0-9a-f]+)\}")
_PID = re.compile(r"(?:/host)?/proc/(\d{1,9})/ns/net")


def declared(message: str) -> dict[str, Any] | None:
    """Return a configuration in the ledger's keys; None if it is damaged or of another plugin."""
    head = _NETCONF.search(message)
    if head is None:
        return None
    found: dict[str, Any]
    if (match := _BRANCH.search(message)) and message.count("} TrunkName:") == 1 and match.end() == len(message):
        found = _branch(match[1])
    elif (match := _ENI.search(message)) and message.count("} ENIName:") == 1 and match.end() == len(message):
        found = {**_eni(match[1]), "container_id": printable(match[2]), **place(match[3], match[4])}
    else:
        return None
    if not found.get("branch_mac") or ("vlan_id" in found and not 0 < found["vlan_id"] < 4095):
        return None
    plugin = "vpc-branch-eni" if "vlan_id" in found else "vpc-eni"
    found |= {"network": printable(head[2]), "plugin": plugin, "cni_version": printable(head[1])}
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _branch(text: str) -> dict[str, Any]:
    said = _members(text)
    # Up to 2020 there was one address, printed as CIDR, and one gateway.
    old = [cidr(said.get("BranchIPAddress"))]
    return {
        "branch_mac": mac_text(said.get("BranchMACAddress")),
        "vlan_id": vlan_number(said.get("BranchVlanID")) or 0,
        "addresses": _addresses(said["IPAddresses"]) if "IPAddresses" in said else [text for text in old if text],
        "gateways": _gateways(said.get("GatewayIPAddresses", said.get("BranchGatewayIPAddress", ""))),
        "protocol": "vlan",
        "trunk_mac": mac_text(said.get("TrunkMACAddress")),
        "trunk_ifname": printable(said.get("TrunkName", "")),
        "interface_type": printable(said.get("InterfaceType", "")),
        **_imds(said),
    }


def _eni(text: str) -> dict[str, Any]:
    said = _members(text)
    return {
        "branch_mac": mac_text(said.get("ENIMACAddress")),
        "addresses": _addresses(said.get("ENIIPAddresses", "")),
        "gateways": _gateways(said.get("GatewayIPAddresses", "")),
        "protocol": "default",
        **_imds(said),
    }


def _members(text: str) -> dict[str, str]:
    """Return name and value of each member of a struct printed with `%+v`, empty when a name comes twice."""
    parts = _MEMBER.split(text)
    names = parts[1::2]
    return dict(zip(names, parts[2::2], strict=True)) if len(set(names)) == len(names) else {}


def _addresses(text: str) -> list[str]:
    """Return the addresses of `[{IP:10.0.32.4 Mask:fffff000} ...]` with prefix length."""
    found = []
    for address, mask in _ADDRESS.findall(text):
        bits = f"{int(mask, 16):0{len(mask) * 4}b}"
        canonical = cidr(f"{address}/{bits.count('1')}")
        if canonical and "01" not in bits:
            found.append(canonical)
    return found


def _gateways(text: str) -> list[str]:
    return [address for address in map(ip, text.strip("[]").split()) if address]


def _imds(said: dict[str, str]) -> dict[str, bool]:
    value = said.get("BlockIMDS")
    return {"block_instance_metadata": value == "true"} if value in ("true", "false") else {}


def place(netns: str, ifname: str = "") -> dict[str, Any]:
    """Return `netns` with its `pid`, and `ifname`; DEL has `none` for a namespace."""
    found: dict[str, Any] = {}
    if netns not in ("", "none"):
        found["netns"] = printable(netns)
        if match := _PID.fullmatch(netns):
            found["pid"] = int(match[1])
    if ifname:
        found["ifname"] = printable(ifname)
    return found


def printable(text: str) -> str:
    """Return a text that is fit for the ledger: nothing unprintable in it, at most 1024 characters."""
    return "".join(character if character.isprintable() else "?" for character in text)[:_TEXT_MAX]
