"""What the ECS agent declares in the network configurations of `vpc-branch-eni`, `vpc-eni` and `ecs-eni`.

Sources: `config/netconfig.go` of the first two in amazon-vpc-cni-plugins, `plugins/eni/types/types.go` of
amazon-ecs-cni-plugins. Only ecs-eni is given the ENI ID, and none the task; the VLAN ID is a string. Nothing here
raises: the delegate has the configuration too, and it is the one to complain.
"""

from __future__ import annotations

from eni_ledger.plugin.declared import cidr, eni_id, ip, mac_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX = 256  # an ENI has at most 50 addresses of a family; a strange configuration is not to fill the ledger


def declared(plugin: str, conf: dict[str, Any], cni_args: str) -> dict[str, Any]:
    """Return what a configuration declares, as fields of an event; what it does not say is left out.

    `eni_id`, `branch_mac`, `vlan_id`, `addresses`, `gateways`, `protocol`, `trunk_mac`, `trunk_ifname`,
    `interface_type`, `block_instance_metadata`. `plugin` is the delegate's name; `cni_args` (CNI_ARGS) overrides as the
    delegate lets it.
    """
    if plugin == "ecs-eni":
        return _of_ecs_eni(conf)
    if plugin == "vpc-eni":
        found: dict[str, Any] = {
            "branch_mac": mac_text(conf.get("eniMACAddress")),
            "addresses": _texts(conf.get("eniIPAddresses"), cidr),
            "protocol": "default",
        }
    else:
        conf = {**conf, **_overrides(cni_args)}
        found = {
            "branch_mac": mac_text(conf.get("branchMACAddress")),
            "vlan_id": _vlan_id(conf.get("branchVlanID")),
            "addresses": _texts(conf.get("ipAddresses"), cidr),
            "protocol": "vlan",
            "trunk_mac": mac_text(conf.get("trunkMACAddress")),
            "trunk_ifname": _text(conf.get("trunkName")),
            "interface_type": _text(conf.get("interfaceType")) or "tap",  # the plugin's default
        }
    found["gateways"] = _texts(conf.get("gatewayIPAddresses"), ip)
    if isinstance(conf.get("blockInstanceMetadata"), bool):
        found["block_instance_metadata"] = conf["blockInstanceMetadata"]
    return {key: value for key, value in found.items() if value not in (None, [])}


def _of_ecs_eni(conf: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration of `ecs-eni` declares; before August 2020 it had a key for each address."""
    addresses, gateways = conf.get("ip-addresses"), conf.get("gateway-ip-addresses")
    if addresses is None:
        addresses = [conf.get("ipv4-address"), conf.get("ipv6-address")]
    if gateways is None:  # with the prefix length of the subnet
        gateways = [str(conf.get("subnetgateway-ipv4-address", "")).partition("/")[0]]
    found = {
        "eni_id": eni_id(conf.get("eni")),
        "branch_mac": mac_text(conf.get("mac")),
        "addresses": _texts(addresses, cidr),
        "protocol": "default",
        "gateways": _texts(gateways, ip),
    }
    if isinstance(conf.get("block-instance-metadata"), bool):
        found["block_instance_metadata"] = conf["block-instance-metadata"]
    return {key: value for key, value in found.items() if value not in (None, [])}


def _overrides(cni_args: str) -> dict[str, Any]:
    """Return what CNI_ARGS (`key=value;key=value`) sets, under the configuration's own names."""
    given = dict(pair.partition("=")[::2] for pair in cni_args.split(";") if "=" in pair)
    found: dict[str, Any] = {}
    for name, key in (("BranchVlanID", "branchVlanID"), ("BranchMACAddress", "branchMACAddress")):
        if given.get(name):
            found[key] = given[name]
    for name, key in (("IPAddresses", "ipAddresses"), ("GatewayIPAddresses", "gatewayIPAddresses")):
        if given.get(name):
            found[key] = given[name].split(",")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def _vlan_id(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 4:
        return int(value) if int(value) <= 4094 else None
    return None


def _texts(value: object, normal: Any) -> list[str]:
    """Return the normal forms of the members of a list that have one."""
    listed = value[:_MAX] if isinstance(value, list) else []
    return [text for text in map(normal, listed) if text is not None]


def differences(said: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Return which keys the kernel shows otherwise than declared.

    Those are `vlan_id`, `branch_mac`, `addresses`, `trunk_mac`, `trunk_ifname`. For a tap or macvtap interface MAC and
    addresses belong to the virtual machine behind it and are not compared. What the kernel has beyond the declared
    addresses (IPv6 by router advertisement) is no difference, and what could not be looked at is none either.
    """
    found = []
    # Where the namespace could not be entered, the VLAN ID and the trunk's name are all there is.
    inside = "observed_mac" in seen or "trunk_ifindex" in seen
    plain = inside and said.get("interface_type", "vlan") == "vlan"
    if said.get("vlan_id") is not None and said["vlan_id"] != seen.get("observed_vlan_id"):
        found.append("vlan_id")
    if plain and said.get("branch_mac") is not None and said["branch_mac"] != seen.get("observed_mac"):
        found.append("branch_mac")
    if plain and not set(said.get("addresses", ())) <= set(seen.get("addresses", ())):
        found.append("addresses")
    for key in ("trunk_mac", "trunk_ifname"):
        if said.get(key) is not None and seen.get(key, said[key]) != said[key]:
            found.append(key)
    return found
