"""Databases as the ECS agent has them, with tasks of a test's own."""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any

from eni_ledger.identity import agent_db, bolt
from helpers.bolt import BoltWriter, Buckets

CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:task/prod"


def mac(number: int) -> str:
    return f"0a:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def eni_id(generation: int, number: int) -> str:
    return f"eni-{(generation << 16) + number:017x}"


def task(
    key: str,
    eni: str,
    mac: str,
    *,
    vlan: int | None = None,
    ip: str | None = None,
    status: str = "RUNNING",
    dns: str | None = None,
    **more: Any,
) -> tuple[bytes, bytes]:
    """Return key and value of a task with one ENI; `more` are further members of the task."""
    interface: dict[str, Any] = {"ec2Id": eni, "MacAddress": mac, "InterfaceAssociationProtocol": "vlan"}
    if dns:
        interface["PrivateDNSName"] = dns
    if ip:
        interface["IPV4Addresses"] = [{"Primary": True, "Address": ip}]
    if vlan:
        interface["InterfaceVlanProperties"] = {"VlanID": str(vlan), "TrunkInterfaceMacAddress": "0a:ff:ee:dd:cc:bb"}
    value = {
        "Arn": f"{CLUSTER}/{key}",
        "ENI": [interface],
        "Family": "web",
        "KnownStatus": status,
        "Version": "7",
        **more,
    }
    return key.encode(), json.dumps(value, separators=(",", ":")).encode()


def container(
    task: str, name: str, docker_id: str, docker_name: str, *, kind: str = "NORMAL", **more: Any
) -> tuple[bytes, bytes]:
    """Return key and value of a container of the task with this key; the ID is empty until Docker has made it."""
    about = {"Name": name, "Image": "registry.example/app:1", "taskARN": f"{CLUSTER}/{task}", "IsInternal": kind}
    value = {"DockerId": docker_id, "DockerName": docker_name, "Container": {**about, **more}}
    return f"{task}-{name}".encode(), json.dumps(value, separators=(",", ":")).encode()


def known(path: str, mac: str, seconds: float = 30.0, **more: Any) -> agent_db.Identity | None:
    """Return what the agent knows of a MAC, None also when the file does not tell. No other error may come of it."""
    try:
        return agent_db.Question(path, mac, **more).ask(bolt.within(seconds))
    except (OSError, ValueError, bolt.Unreadable):
        return None


def generation(number: int, tasks: int) -> Buckets:
    """Return the content of a database in which every MAC has an ENI of this generation, and pages of all lengths."""
    found = []
    for index in range(tasks):
        pad = "x" * ((index * 37 + number * 911) % 9000)
        found.append(task(f"{index:032x}", eni_id(number, index), mac(index), pad=pad))
    return {b"tasks": dict(found), b"metadata": {b"cluster-name": f'"g{number}"'.encode()}, b"images": {}}


def churn(path: str, counter: str, tasks: int) -> None:
    """Commit one generation after the other until standard input ends; `counter` has the last begun and committed."""
    marks = os.open(counter, os.O_RDWR | os.O_CREAT)
    writer = BoltWriter(path)
    number = 0
    os.set_blocking(0, False)
    while True:
        number += 1
        os.pwrite(marks, struct.pack("<Q", number), 0)
        writer.commit(generation(number, tasks))
        os.pwrite(marks, struct.pack("<Q", number), 8)
        try:
            if not os.read(0, 1):
                break
        except BlockingIOError:
            continue


if __name__ == "__main__":
    churn(sys.argv[1], sys.argv[2], int(sys.argv[3]))
