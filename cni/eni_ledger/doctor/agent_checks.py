"""Doctor checks of trunking and the ECS agent.

Source: amazon-ecs-agent, `agent/config` (ECS_ENABLE_TASK_ENI, off by default; ECS_ENABLE_HIGH_DENSITY_ENI, on by
default), `ecs-init/docker` (sets the former to true unless a file has it), `ecs-agent/api/attachment/eni` (type
`instance-eni`: the trunk). ECS attaches a trunk when, as the instance registers, the account setting awsvpcTrunking is
on for its role, its type has trunking, and task ENIs are on. The host sees only the trunk: that none was attached is
known, the reason is not.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eni_ledger.base import minijson
from eni_ledger.base.config import AGENT_PLUGIN_DIR
from eni_ledger.base.errors import InstallError, StateDirError
from eni_ledger.base.runtime import INTERPOSED
from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Check, Finding, Host, hidden
from eni_ledger.identity import agent_db
from eni_ledger.install import env_file, layout
from eni_ledger.install.ecs_agent import refusal
from eni_ledger.install.process_root import Root
from eni_ledger.install.supported_host import unsuited
from eni_ledger.kernel.scan import attachments
from eni_ledger.ledger.format.line import format_ts
from eni_ledger.ledger.format.live import happened_at
from eni_ledger.reconcile import agent_log
from eni_ledger.render.text import counted

TASK_ENI, TRUNKING = "ECS_ENABLE_TASK_ENI", "ECS_ENABLE_HIGH_DENSITY_ENI"

_NO_ECS = f"no ECS agent runs on this host, and there is no {layout.AGENT_DATA}"
_REASONS = (
    "awsvpcTrunking was off for the role of this instance, the instance type has no trunking, "
    "or task ENIs were off when it registered"
)
_ACCOUNT = (
    "aws ecs list-account-settings --effective-settings --name awsvpcTrunking --principal-arn ROLE shows the setting; "
    "after a change, launch a new instance"
)
_RESTART = "systemctl restart ecs"


def trunk(host: Host) -> Finding:
    """Is there a trunk, with branches?"""
    branches, unseen = attachments(host.scan), host.scan.unreadable
    if branches:
        names = sorted({str(branch.get("trunk_ifname", "a link of another namespace")) for branch in branches})
        least = f"at least {len(branches)}" if unseen else str(len(branches))
        return Finding("trunk", OK, f"{least} {'branch' if len(branches) == 1 else 'branches'} on {', '.join(names)}")
    macs = _trunk_macs(host)
    link = next((link.name for link in host.scan.own if link.mac in (macs or ())), None)
    if unseen:
        words = f"{link} is a trunk; whether it has branches" if link else "whether there is a branch"
        return Finding("trunk", SKIPPED, f"{words} is not known, a namespace cannot be looked into: {unseen[0]}")
    if link:
        return Finding("trunk", OK, f"{link} is a trunk; it has no branch now")
    if macs:
        words = f"ECS attached the trunk {', '.join(sorted(macs))}, and no link of this namespace has that MAC"
        return Finding("trunk", WARN, words, "run it in the network namespace of the host; ip link lists its links")
    if not host.has_ecs:
        return Finding("trunk", SKIPPED, f"no VLAN link in any other namespace; {_NO_ECS}")
    if macs is None:
        words = f"there is no branch; whether a link is a trunk is not known without {host.paths.agent_db}"
        return Finding("trunk", SKIPPED, words)
    return Finding("trunk", WARN, "there is no branch, and ECS attached no trunk", "see account-setting")


def _trunk_macs(host: Host) -> set[str] | None:
    """Return the MACs of the trunks that ECS attached, from agent.db; None when there is no such file."""
    try:
        attached = host.agent_objects("eniattachments")
    except FileNotFoundError:
        return None
    return {str(eni.get("macAddress", "")).lower() for eni in attached if eni.get("attachmentType") == "instance-eni"}


def agent_configuration(host: Host) -> Finding:
    """Does the agent give tasks ENIs, and branches of a trunk?"""
    name = "agent-configuration"
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    if host.agent is None and host.other_agent is not None:
        return Finding(name, SKIPPED, str(refusal(host.other_agent)))
    running = bool(host.agent_env)
    # For an agent that is started, ecs-init sets ECS_ENABLE_TASK_ENI=true unless one of the files has the key.
    variables = host.agent_env if running else {TASK_ENI: "true", **host.agent_file}
    if not env_file.boolean(variables.get(TASK_ENI, "")):
        where = "the running agent" if running else host.set_in(TASK_ENI)
        words = f"{where} has {_assigned(variables, TASK_ENI, 'off')}: no task can use awsvpc"
        return Finding(name, FAIL, words, f"{TASK_ENI}=true in {layout.ECS_CONFIG}, then {_RESTART}")
    if env_file.boolean(variables.get(TRUNKING, "")) is False:
        where = "the running agent" if running else host.set_in(TRUNKING)
        hint = f"take {TRUNKING} out of {host.set_in(TRUNKING)}, then {_RESTART}"
        return Finding(name, FAIL, f"{where} has {_assigned(variables, TRUNKING, 'on')}: no trunking", hint)
    if not running:
        words = "the agent does not run; its configuration files turn neither task ENIs nor trunking off"
        return Finding(name, WARN, words, "systemctl start ecs")
    return Finding(name, OK, "the running agent has task ENIs and trunking on")


def _assigned(variables: dict[str, str], key: str, default: str) -> str:
    """Return the assignment of `key` as text, and what counts instead if its value is not a boolean."""
    value = variables.get(key)
    if value is None:
        return f"no {key}"
    if value.strip() and env_file.boolean(value) is None:
        return f"{key}={value}, which is no boolean and counts as {default}"
    return f"{key}={value}"


def account_setting(host: Host) -> Finding:
    """Did ECS attach a trunk to this instance?"""
    name = "account-setting"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    macs = _trunk_macs(host)
    if macs is None:
        return Finding(name, SKIPPED, f"not known without {host.paths.agent_db}, and there is no such file")
    if macs:
        return Finding(name, OK, f"ECS attached the trunk {', '.join(sorted(macs))}: awsvpcTrunking was on")
    tasks = host.agent_objects("tasks")
    if any('"InterfaceAssociationProtocol":"vlan"' in minijson.dumps(task.get("ENI")) for task in tasks):
        return Finding(name, OK, "tasks of this instance have branch ENIs: awsvpcTrunking was on")
    if not tasks and "container_instance_arn" not in agent_db.metadata(host.paths.agent_db, 2.0):
        return Finding(
            name, SKIPPED, "not known: this instance has not registered, and ECS attaches a trunk after that"
        )
    words = f"ECS attached no trunk to this instance. Possible reasons: {_REASONS}"
    return Finding(name, WARN, words, _ACCOUNT)


def interposed(host: Host) -> Finding:
    """Does the running agent call eni-ledger?"""
    name = "interposed"
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    wanted = host.agent_file.get(layout.KEY)
    set_ours = layout.is_ours(wanted)
    install = "eni-ledger install ecs"
    if wanted and not wanted.startswith("/"):  # `install ecs` refuses such a line
        install = (
            f"take the {layout.KEY} line out of {host.set_in(layout.KEY)}, it names no absolute path; then {install}"
        )
    if host.agent is None:
        if reason := _why_not(host):
            return Finding(name, FAIL, f"{reason.msg}: {reason.details}", reason.hint)
        status, hint = (WARN, "systemctl start ecs") if set_ours else (FAIL, install)
        words = f"the agent does not run; {layout.KEY} is {wanted or 'not set'} in {host.set_in(layout.KEY)}"
        return Finding(name, status, words, hint)
    path = host.agent.plugin_path or ""
    if not layout.is_ours(path):
        hint = _RESTART if set_ours else install
        return Finding(name, FAIL, f"the running agent has {layout.KEY}={path or '(not set)'}", hint)
    with host.agents.root_of(host.agent) as root:  # by the plain path: libcni joins directory and name with Go's Clean
        missing = [plugin for plugin in INTERPOSED if not root.is_program(f"{layout.PLUGIN_PATH}/{plugin}")]
        if missing:
            return Finding(name, FAIL, f"the agent's {path} lacks {', '.join(missing)}", install)
        image, present = _names(root, _delegate_dir(host)), root.names(layout.PLUGIN_PATH)
    if unlinked := sorted({*filter(layout.is_plugin_name, image)} - {*present}):
        words = f"the agent's image has {', '.join(unlinked)}, of which {path} knows nothing: tasks that need it fail"
        return Finding(name, WARN, words, install)
    calls = f"the running agent (process {host.agent.pid}) calls the plugins in {path}"
    if host.other_agent is not None:
        why = refusal(host.other_agent)
        return Finding(name, WARN, f"{calls}; {why.msg}: {why.details}", why.hint)
    return Finding(name, OK, calls)


def _why_not(host: Host) -> InstallError | None:
    """Return why no agent of this host can call eni-ledger, None if no such reason is known."""
    if host.other_agent is not None:
        return refusal(host.other_agent)
    return unsuited(host.paths.tree, agent_runs=False)


def _names(root: Root, directory: str) -> list[str]:
    try:
        return root.names(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def delegates(host: Host) -> Finding:
    """Does the agent's image have the plugins that eni-ledger delegates to?"""
    name = "delegates"
    if host.agent_hidden:
        return hidden(name, "the environment of the agent")
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    if host.agent is None:
        return Finding(name, SKIPPED, f"no agent with {layout.AGENT_DATA} at /data runs, and they are in its image")
    directory = _delegate_dir(host)
    with host.agents.root_of(host.agent) as root:
        present = [plugin for plugin in INTERPOSED if root.is_program(f"{directory}/{plugin}")]
    if missing := layout.lacking(present.__contains__):
        hint = f'"delegateDir" in {layout.CONFIG} has to be the directory of the agent\'s own plugins'
        return Finding(name, FAIL, f"the agent's {directory} lacks {', '.join(missing)}", hint)
    return Finding(name, OK, f"{', '.join(present)} are in the agent's {directory}")


def _delegate_dir(host: Host) -> str:
    try:
        with open(host.paths.of(layout.CONFIG), encoding="utf-8") as file:
            document = minijson.loads(file.read())
    except FileNotFoundError:
        return AGENT_PLUGIN_DIR
    return str(document.get("delegateDir", AGENT_PLUGIN_DIR)) if isinstance(document, dict) else AGENT_PLUGIN_DIR


def last_add(host: Host) -> Finding:
    """Is the newest ADD of the plugins' log in the ledger?"""
    name = "last-add"
    if not host.has_ecs:
        return Finding(name, SKIPPED, _NO_ECS)
    files = agent_log.rolled(Path(host.paths.agent_log))
    if not files:
        words = f"there is no {host.paths.agent_log}: no plugin has run since, or the agent logs at warn or above"
        return Finding(name, SKIPPED, words)
    adds = [event.fields for event in agent_log.read(files[-2:]) if event.fields["event"] == "add"]
    if not adds:
        return Finding(name, SKIPPED, "there is no ADD in the newest logs")
    if other := host.of_another(name):
        return other
    if (unseen := host.no_ledger(name)) and os.path.lexists(host.settings.state_dir):
        return unseen
    last = adds[-1]
    kind = f"VLAN {last['vlan_id']}" if "vlan_id" in last else "whole ENI"
    what = f"the ADD of {last['ts'][:19]}Z ({kind}, {last['branch_mac']})"
    if _recorded(host, last):
        return Finding(name, OK, f"{what} is in the ledger")
    started = _started(host)
    if started is not None and last["ts"] < started:
        hint = f"eni-ledger import {host.paths.agent_log}; eni-ledger verify --adopt"
        return Finding(name, OK, f"{what} was before this agent started; none since", hint)
    if count := host.spooled:
        return Finding(name, WARN, f"{what} is not in the ledger; in the spool: {counted(count, 'event')}")
    if last.get("unconfirmed"):
        words = f"{what} was not recorded; the log does not say whether it has ended, or how"
        return Finding(name, WARN, words, "run doctor again in two minutes")
    hint = "look at the check failures, and into journalctl -t eni-ledger -p warning"
    return Finding(name, FAIL, f"{what} was not recorded", hint)


def _recorded(host: Host, add: dict[str, Any]) -> bool:
    """Tell whether the ledger has the call. Without an outcome in the log, a recorded failure counts as well."""
    begin = datetime.fromisoformat(add["ts"]).astimezone(UTC) - timedelta(seconds=2)
    since = begin.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    kinds = ("add", "add_failed") if add.get("unconfirmed") else ("add",)
    try:
        return any(
            event["event"] in kinds
            and happened_at(event) >= since
            and (event.get("branch_mac"), event.get("vlan_id")) == (add["branch_mac"], add.get("vlan_id"))
            for event in host.history.events(since, imported=False)
        )
    except StateDirError:
        return False


def _started(host: Host) -> str | None:
    """Return when the running agent started, as the ledger writes times; None when it does not run."""
    if host.agent is None:
        return None
    with open(f"{host.paths.proc}/stat", encoding="ascii", errors="replace") as file:
        boot = next((int(line.split()[1]) for line in file if line.startswith("btime ")), None)
    return (
        format_ts(int((boot + host.agent.start / os.sysconf("SC_CLK_TCK")) * 1_000_000)) if boot is not None else None
    )


CHECKS: tuple[Check, ...] = (trunk, agent_configuration, account_setting, interposed, delegates, last_add)
