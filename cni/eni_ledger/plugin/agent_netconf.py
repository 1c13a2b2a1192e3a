"""What the ECS agent declares in the network configurations of `vpc-branch-eni`, `vpc-eni` and `ecs-eni`.

Sources: `config/netconfig.go` of the first two in amazon-vpc-cni-plugins, from 2018 on (until 2020 vpc-branch-eni had
one address, `branchIPAddress`, and one gateway, `branchGatewayIPAddress`), `plugins/eni/types/types.go` of
amazon-ecs-cni-plugins. Only ecs-eni gets the ENI ID, and none of them the task; the VLAN ID is a string. Nothing here
raises: the delegate reads the same configuration and reports its faults.
"""

from __future__ import annotations

from eni_ledger.base.addresses import cidr, eni_id, ip, mac_text, vlan_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.events import Fields

_MAX = 256  # an ENI has at most 50 addresses of a family; a malformed configuration must not fill the ledger


def declared(plugin: str, conf: dict[str, Any], cni_args: str) -> dict[str, Any]:
    """Return what a configuration declares, as fields of an event, without the ones that it lacks.

    `eni_id`, `branch_mac`, `vlan_id`, `addresses`, `gateways`, `protocol`, `trunk_mac`, `trunk_ifname`,
    `interface_type`, `block_instance_metadata`. `plugin` is the delegate's name. `cni_args` (CNI_ARGS) overrides the
    keys for which the delegate allows it.
    """
    if plugin == "ecs-eni":
        return _of_ecs_eni(conf)
    keys = {key.lower(): value for key, value in conf.items()}  # Go takes a key in any case
    if plugin == "vpc-eni":
        fields: dict[str, Any] = {
            "branch_mac": mac_text(keys.get("enimacaddress")),
            "addresses": _texts(keys.get("eniipaddresses"), cidr),
            "protocol": "default",
        }
    else:
        keys |= _overrides(cni_args)
        fields = {
            "branch_mac": mac_text(keys.get("branchmacaddress")),
            "vlan_id": vlan_number(keys.get("branchvlanid")),
            "addresses": _texts(_either(keys, "ipaddresses", "branchipaddress"), cidr),
            "protocol": "vlan",
            "trunk_mac": mac_text(keys.get("trunkmacaddress")),
            "trunk_ifname": _text(keys.get("trunkname")),
            "interface_type": _text(keys.get("interfacetype")) or "tap",  # the plugin's default
        }
    fields["gateways"] = _texts(_either(keys, "gatewayipaddresses", "branchgatewayipaddress"), ip)
    if isinstance(keys.get("blockinstancemetadata"), bool):
        fields["block_instance_metadata"] = keys["blockinstancemetadata"]
    return {key: value for key, value in fields.items() if value not in (None, [])}


def _of_ecs_eni(conf: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration of `ecs-eni` declares; before August 2020 it had a key for each address."""
    addresses, gateways = conf.get("ip-addresses"), conf.get("gateway-ip-addresses")
    if addresses is None:
        addresses = [conf.get("ipv4-address"), conf.get("ipv6-address")]
    if gateways is None:  # with the prefix length of the subnet
        gateways = [str(conf.get("subnetgateway-ipv4-address", "")).partition("/")[0]]
    fields = {
        "eni_id": eni_id(conf.get("eni")),
        "branch_mac": mac_text(conf.get("mac")),
        "addresses": _texts(addresses, cidr),
        "protocol": "default",
        "gateways": _texts(gateways, ip),
    }
    if isinstance(conf.get("block-instance-metadata"), bool):
        fields["block_instance_metadata"] = conf["block-instance-metadata"]
    return {key: value for key, value in fields.items() if value not in (None, [])}


def _overrides(cni_args: str) -> dict[str, Any]:
    """Return what CNI_ARGS (`key=value;key=value`) sets, under the configuration's names in lower case."""
    given = dict(pair.partition("=")[::2] for pair in cni_args.split(";") if "=" in pair)
    fields: dict[str, Any] = {}
    for name in ("BranchVlanID", "BranchMACAddress", "BranchIPAddress", "BranchGatewayIPAddress"):
        if given.get(name):
            fields[name.lower()] = given[name]
    for name in ("IPAddresses", "GatewayIPAddresses"):
        if given.get(name):
            fields[name.lower()] = given[name].split(",")
    return fields


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def _either(conf: dict[str, Any], key: str, old: str) -> object:
    """Return the list under `key`; where there is none, one of the single value that it was before."""
    return conf[key] if key in conf else [conf.get(old)]


def _texts(value: object, normal: Any) -> list[str]:
    """Return the normal forms of the members of a list that have one."""
    listed = value[:_MAX] if isinstance(value, list) else []
    return [text for text in map(normal, listed) if text is not None]


def plain(event: Fields) -> bool:
    """Tell whether the interface in the namespace is the ENI's own; a tap or macvtap is a virtual machine's."""
    return bool(event.get("interface_type", "vlan") == "vlan")


def netconf_mismatches(event: Fields, seen: dict[str, Any]) -> list[str]:
    """Return the keys whose value in the kernel differs from the one that `event` declares.

    Compared are `vlan_id`, `branch_mac`, `addresses`, `gateways`, `trunk_mac`, `trunk_ifname`. For a tap or macvtap
    interface MAC, addresses and gateways belong to the virtual machine behind it and are not compared. Further
    addresses in the kernel (IPv6 by router advertisement) are no difference, nor is what could not be read.
    """
    different = []
    # Where the namespace could not be entered, the VLAN ID and the trunk's name are all there is.
    inside = plain(event) and ("observed_mac" in seen or "addresses" in seen)
    if event.get("vlan_id") is not None and event["vlan_id"] != seen.get("observed_vlan_id"):
        different.append("vlan_id")
    if inside and event.get("branch_mac") is not None and event["branch_mac"] != seen.get("observed_mac"):
        different.append("branch_mac")
    different += [
        key for key in ("addresses", "gateways") if inside and key in seen and _lacks(seen[key], event.get(key))
    ]
    for key in ("trunk_mac", "trunk_ifname"):
        if event.get(key) is not None and seen.get(key, event[key]) != event[key]:
            different.append(key)
    return different


def _lacks(seen: list[str], expected: list[str] | None) -> bool:
    return not set(expected or ()) <= set(seen)
