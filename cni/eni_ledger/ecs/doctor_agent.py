"""The doctor's questions about trunking and the ECS agent.

Source: amazon-ecs-agent, `agent/config` (ECS_ENABLE_TASK_ENI; ECS_ENABLE_HIGH_DENSITY_ENI, on by default with it),
`ecs-init/docker` (sets the former), `ecs-agent/api/attachment/eni` (type `instance-eni`: the trunk, which ECS attaches
when the account setting awsvpcTrunking was on as the instance registered). The setting itself the host cannot see.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eni_ledger import fastjson
from eni_ledger.config import AGENT_PLUGIN_DIR
from eni_ledger.ecs import agent_log, layout
from eni_ledger.ecs.agent import Agent
from eni_ledger.ecs.doctor import FAIL, OK, SKIPPED, WARN, Check, Finding, Host, hidden
from eni_ledger.errors import StateDirError
from eni_ledger.ledger.state import happened_at
from eni_ledger.plugin.front import INTERPOSED

_NO_ECS = "there is no ECS agent on this host"
_ACCOUNT = "aws ecs put-account-setting-default --name awsvpcTrunking --value enabled; then launch a new instance"
_RESTART = "systemctl restart ecs"


def trunk(host: Host) -> Finding:
    """Is there a trunk, with branches?"""
    from eni_ledger.kernel.scan import attachments

    found = attachments(host.scan)
    names = sorted({str(each.get("trunk_ifname", "of another namespace")) for each in found})
    if found:
        return Finding("trunk", OK, f"{len(found)} branches on trunk {', '.join(names)}")
    macs = _trunk_macs(host)
    link = next((link.name for link in host.scan.own if link.mac in macs), None)
    if link:
        return Finding("trunk", OK, f"{link} is a trunk; it has no branch now")
    if host.scan.unreadable:
        return Finding("trunk", SKIPPED, f"not all namespaces can be looked into: {host.scan.unreadable[0]}")
    if not host.has_ecs:
        return Finding("trunk", SKIPPED, f"no VLAN link in any namespace, and {_NO_ECS}")
    return Finding("trunk", WARN, "there is no trunk link and no branch on this host", _ACCOUNT)


def _trunk_macs(host: Host) -> set[str]:
    """Return the MACs of the trunks that ECS has attached, as the agent knows them."""
    try:
        found = host.agent_objects("eniattachments")
    except FileNotFoundError:
        return set()
    return {str(one.get("macAddress", "")).lower() for one in found if one.get("attachmentType") == "instance-eni"}


def agent_configuration(host: Host) -> Finding:
    """Does the agent give tasks ENIs, and branches of a trunk?"""
    name = "agent-configuration"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    running = bool(host.agent_env)
    said = host.agent_env or host.agent_file
    where = "the running agent" if running else layout.ECS_CONFIG
    task_eni = said.get("ECS_ENABLE_TASK_ENI", "false" if running else "true").lower()  # ecs-init sets it
    if task_eni != "true":
        hint = f"ECS_ENABLE_TASK_ENI=true in {layout.ECS_CONFIG}, then {_RESTART}"
        return Finding(name, FAIL, f"{where} has ECS_ENABLE_TASK_ENI={task_eni}: no task can use awsvpc", hint)
    if said.get("ECS_ENABLE_HIGH_DENSITY_ENI", "true").lower() == "false":
        hint = f"take ECS_ENABLE_HIGH_DENSITY_ENI out of {layout.ECS_CONFIG}, then {_RESTART}"
        return Finding(name, FAIL, f"{where} has ECS_ENABLE_HIGH_DENSITY_ENI=false: no trunking", hint)
    if not running:
        return Finding(name, WARN, "the agent does not run; its configuration allows trunking", "systemctl start ecs")
    return Finding(name, OK, "the running agent has task ENIs and trunking on")


def account_setting(host: Host) -> Finding:
    """Was awsvpcTrunking on when this instance registered?"""
    name = "account-setting"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    try:
        if macs := _trunk_macs(host):
            return Finding(name, OK, f"ECS attached the trunk {', '.join(sorted(macs))}: awsvpcTrunking was on")
        tasks = host.agent_objects("tasks")
    except FileNotFoundError:
        return Finding(name, SKIPPED, f"there is no {host.paths.agent_db}; the agent has not run yet")
    if any('"InterfaceAssociationProtocol":"vlan"' in fastjson.dumps(task.get("ENI")) for task in tasks):
        return Finding(name, OK, "tasks of this instance have branch ENIs: awsvpcTrunking was on")
    return Finding(name, WARN, "ECS attached no trunk: awsvpcTrunking was off when this instance registered", _ACCOUNT)


def interposed(host: Host) -> Finding:
    """Does the running agent call eni-ledger?"""
    name = "interposed"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    wanted = host.agent_file.get(layout.KEY)
    install = "eni-ledger install ecs"
    if host.agent_pid is None:
        status, hint = (WARN, "systemctl start ecs") if wanted == layout.PLUGIN_PATH else (FAIL, install)
        return Finding(name, status, f"the agent does not run; {layout.KEY} is {wanted or 'not set'}", hint)
    if not host.agent_env:
        return Finding(name, SKIPPED, "the running agent's environment may not be read", "run it as root")
    path = host.agent_env.get(layout.KEY)
    if path != layout.PLUGIN_PATH:
        hint = _RESTART if wanted == layout.PLUGIN_PATH else install
        return Finding(name, FAIL, f"the running agent has {layout.KEY}={path or '(not set)'}", hint)
    missing = [plugin for plugin in INTERPOSED if not _executable(host, f"{path}/{plugin}")]
    if missing:
        return Finding(name, FAIL, f"the agent's {path} lacks {', '.join(missing)}", install)
    image = Agent(host.paths.proc).plugins(_delegate_dir(host)) or []
    present = os.listdir(host.paths.tree_of_agent(host.agent_pid).real(path))
    if unlinked := sorted({*filter(layout.is_plugin_name, image)} - {*present}):
        words = f"the agent's image has {', '.join(unlinked)}, of which {path} knows nothing: tasks that need it fail"
        return Finding(name, WARN, words, install)
    return Finding(name, OK, f"the running agent (process {host.agent_pid}) calls the plugins in {path}")


def delegates(host: Host) -> Finding:
    """Are the plugins there that eni-ledger stands in front of?"""
    name = "delegates"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    if host.agent_pid is None:
        return Finding(name, SKIPPED, "the agent does not run, and they are in its image")
    os.listdir(f"{host.paths.proc}/{host.agent_pid}/root/")  # PermissionError is not "not there"
    directory = _delegate_dir(host)
    missing = [plugin for plugin in INTERPOSED if not _executable(host, f"{directory}/{plugin}")]
    if missing:
        hint = f'"delegateDir" in {layout.CONFIG} has to be the directory of the agent\'s own plugins'
        return Finding(name, FAIL, f"the agent's {directory} lacks {', '.join(missing)}", hint)
    return Finding(name, OK, f"{', '.join(INTERPOSED)} are in the agent's {directory}")


def _delegate_dir(host: Host) -> str:
    try:
        with open(host.paths.of(layout.CONFIG), encoding="utf-8") as file:
            found = fastjson.loads(file.read())
    except FileNotFoundError:
        return AGENT_PLUGIN_DIR
    return str(found.get("delegateDir", AGENT_PLUGIN_DIR)) if isinstance(found, dict) else AGENT_PLUGIN_DIR


def _executable(host: Host, path: str) -> bool:
    """Whether the agent's container has a program at `path`; links are followed inside of it."""
    real = host.paths.tree_of_agent(host.agent_pid).real(path)
    return os.path.isfile(real) and bool(os.stat(real).st_mode & 0o111)


def last_add(host: Host) -> Finding:
    """Is the newest ADD of the plugins' log in the ledger?"""
    name = "last-add"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    files = agent_log.rolled(Path(host.paths.agent_log))
    if not files:
        return Finding(name, SKIPPED, f"there is no {host.paths.agent_log}; no plugin has run, or it does not log")
    adds = [event.fields for event in agent_log.read(files[-2:]) if event.fields["imported_event"] == "add"]
    if not adds:
        return Finding(name, SKIPPED, "there is no ADD in the newest logs")
    if (unseen := host.no_ledger(name)) and os.path.lexists(host.settings.state_dir):
        return unseen
    last = adds[-1]
    what = f"the ADD of {last['occurred_ts'][:19]}Z (VLAN {last.get('vlan_id', 'none')}, {last['branch_mac']})"
    if _in_ledger(host, last):
        return Finding(name, OK, f"{what} is in the ledger")
    started = _started(host)
    if started is not None and last["occurred_ts"] < started:
        hint = f"eni-ledger import {host.paths.agent_log}; eni-ledger verify --adopt"
        return Finding(name, OK, f"{what} was before this agent started; none since", hint)
    return Finding(name, FAIL, f"{what} is not in the ledger", "journalctl -t eni-ledger -p warning says why")


def _in_ledger(host: Host, add: dict[str, Any]) -> bool:
    begin = datetime.fromisoformat(add["occurred_ts"]).astimezone(UTC) - timedelta(seconds=2)
    since = begin.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        return any(
            event["event"] == "add"
            and happened_at(event) >= since
            and (event.get("branch_mac"), event.get("vlan_id")) == (add["branch_mac"], add.get("vlan_id"))
            for event in host.history.events(since)
        )
    except StateDirError:
        return False


def _started(host: Host) -> str | None:
    """Return when the running agent started, as the ledger writes times; None when it does not run."""
    from eni_ledger.kernel.scan import start_of
    from eni_ledger.ledger.codec import format_ts

    ticks = start_of(host.agent_pid, host.paths.proc) if host.agent_pid is not None else None
    if ticks is None:
        return None
    with open(f"{host.paths.proc}/stat", encoding="ascii", errors="replace") as file:
        boot = next((int(line.split()[1]) for line in file if line.startswith("btime ")), None)
    return format_ts(int((boot + ticks / os.sysconf("SC_CLK_TCK")) * 1_000_000)) if boot is not None else None


CHECKS: tuple[Check, ...] = (trunk, agent_configuration, account_setting, interposed, delegates, last_add)
