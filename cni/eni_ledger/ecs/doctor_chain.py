"""The doctor's question about chained mode: which network configurations call eni-ledger, after what, and can they?"""

from __future__ import annotations

import os

from eni_ledger.ecs import callers, cni, command, layout
from eni_ledger.ecs.doctor import FAIL, OK, SKIPPED, WARN, Check, Finding, Host

# Where runtimes look for plugins: the specification's example, Debian's and Fedora's podman.
_BIN_DIRS = (cni.BIN_DIR, "/usr/libexec/cni", "/usr/lib/cni")
# Plugins of containernetworking/plugins (meta) that change what another made, and so leave nothing to be recorded.
_MAKE_NOTHING = frozenset(("bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf", "dnsname", layout.FRONT))


def chained(host: Host) -> Finding:
    """Do network configurations call eni-ledger, behind what they call it for, and is it where they look?"""
    tree = host.paths.tree
    found = callers.find(tree, host.conf_dirs)
    if not found:
        return _nobody(host)
    bin_dirs = dict.fromkeys([*_BIN_DIRS, *_installed_in(host)])
    if not any(_executable(tree.real(f"{one}/{layout.FRONT}")) for one in bin_dirs):
        words = f"{found[0].path} calls eni-ledger, and no executable eni-ledger is in {', '.join(bin_dirs)}"
        return Finding("chained", FAIL, f"{words}: every ADD with it fails", "eni-ledger install cni")
    for one in found:
        if one.types is None:
            return Finding("chained", WARN, f"{one.path} has eni-ledger in it and cannot be read", "repair it")
        if not set(one.before) - _MAKE_NOTHING:
            words = f"{one.path} calls eni-ledger before any plugin that makes an interface: nothing is recorded"
            return Finding("chained", WARN, words, 'put it at the end of "plugins"')
    words = "; ".join(f"{one.path} calls eni-ledger after {', '.join(one.before)}" for one in found)
    return Finding("chained", OK, words)


def _nobody(host: Host) -> Finding:
    where = ", ".join(host.conf_dirs)
    if host.has_ecs:
        return Finding("chained", SKIPPED, f"no network configuration in {where} calls eni-ledger; the ECS agent may")
    words = f"no network configuration in {where} calls eni-ledger, and there is no ECS agent: nothing is recorded"
    return Finding("chained", WARN, words, "eni-ledger install cni --conflist FILE; or install ecs on an ECS host")


def _installed_in(host: Host) -> list[str]:
    """Return the directories into which `install cni` has put links."""
    manifest = layout.read_manifest(host.paths.tree, cni.MANIFEST) or {}
    return [link.rpartition("/")[0] for link in manifest.get("links", {}) if link != command.PATH]


def _executable(path: str) -> bool:
    return os.path.isfile(path) and bool(os.stat(path).st_mode & 0o111)


CHECKS: tuple[Check, ...] = (chained,)
