"""A small CNI client that runs a conflist as libcni does, so that plugins meet what a runtime would give them.

After libcni's api.go and pkg/invoke: each plugin's configuration gets the list's `name` and `cniVersion` and a
`prevResult`; ADD goes forwards, each plugin seeing the one before's result, and the last result is kept; DEL goes
backwards and CHECK forwards, both with the kept result; GC and STATUS go forwards. The runtime's own environment is
passed on with the `CNI_*` variables added, an empty CNI_NETNS included.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.patience import PATIENCE_S

Conf = dict[str, Any]
Result = dict[str, Any]


class PluginError(Exception):
    """A plugin that failed: its error document (`{}` when it printed none), exit status and stderr."""

    def __init__(self, plugin: str, document: Result, status: int, stderr: str) -> None:
        super().__init__(f"{plugin}: exit status {status}: {document} {stderr}")
        self.plugin = plugin
        self.document = document
        self.status = status
        self.stderr = stderr

    @property
    def code(self) -> object:
        """The CNI error code, None when there is none."""
        return self.document.get("code")


@dataclass(frozen=True)
class Attachment:
    """The key of an attachment and the namespace it is in; an empty `netns` is for a DEL without one."""

    container_id: str
    netns: str
    ifname: str = "eth0"

    def without_netns(self) -> Attachment:
        """Return the same for a DEL after the namespace has gone."""
        return Attachment(self.container_id, "", self.ifname)


@dataclass
class Client:
    """A runtime: where its plugins are, and the results it keeps. `overrides` name a plugin's executable directly."""

    path: list[Path]
    overrides: dict[str, Path] = field(default_factory=dict)
    results: dict[tuple[str, str, str], Result] = field(default_factory=dict)
    stderr: list[str] = field(default_factory=list)

    def add(self, conflist: Conf, attachment: Attachment) -> Result:
        """Return the last plugin's result. Raises PluginError of the first that fails."""
        result: Result | None = None
        for plugin in conflist["plugins"]:
            result = self.call("ADD", conflist, plugin, attachment, result)
        assert result is not None
        self.results[self._key(conflist, attachment)] = result
        return result

    def delete(self, conflist: Conf, attachment: Attachment) -> None:
        """Run DEL from the last plugin to the first. Raises PluginError of the first that fails."""
        kept = self.results.get(self._key(conflist, attachment))
        for plugin in reversed(conflist["plugins"]):
            self.call("DEL", conflist, plugin, attachment, kept)
        self.results.pop(self._key(conflist, attachment), None)

    def check(self, conflist: Conf, attachment: Attachment, only: str | None = None) -> None:
        """Run CHECK, of the plugin type `only` if that is given. Raises PluginError of the first that fails."""
        kept = self.results[self._key(conflist, attachment)]
        for plugin in conflist["plugins"]:
            if only in (None, plugin["type"]):
                self.call("CHECK", conflist, plugin, attachment, kept)

    def gc(self, conflist: Conf, valid: list[Attachment] | None) -> None:
        """Run GC with a list of the attachments that are still there, or with none. Raises PluginError."""
        listed = {} if valid is None else {"cni.dev/valid-attachments": [_named(each) for each in valid]}
        for plugin in conflist["plugins"]:
            self.call("GC", conflist, plugin | listed)

    def status(self, conflist: Conf) -> None:
        """Run STATUS. Raises PluginError of the first plugin that is not ready."""
        for plugin in conflist["plugins"]:
            self.call("STATUS", conflist, plugin)

    def call(
        self,
        command: str,
        conflist: Conf,
        plugin: Conf,
        attachment: Attachment | None = None,
        previous: Result | None = None,
    ) -> Result | None:
        """Run one plugin; return the document it printed, None when it printed nothing. Raises PluginError."""
        conf = {**plugin, "name": conflist["name"], "cniVersion": conflist["cniVersion"]}
        if previous is not None:
            conf["prevResult"] = previous
        env = {**os.environ, "CNI_COMMAND": command, "CNI_PATH": ":".join(map(str, self.path))}
        if attachment is not None:
            env |= {
                "CNI_CONTAINERID": attachment.container_id,
                "CNI_NETNS": attachment.netns,
                "CNI_IFNAME": attachment.ifname,
                "CNI_ARGS": "",
            }
        done = subprocess.run(
            [self._find(plugin["type"])],
            input=json.dumps(conf),
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        self.stderr.append(done.stderr)
        document = json.loads(done.stdout) if done.stdout.strip() else None
        if done.returncode != 0:
            raise PluginError(plugin["type"], document or {}, done.returncode, done.stderr)
        return document

    def _find(self, kind: str) -> Path:
        if kind in self.overrides:
            return self.overrides[kind]
        for directory in self.path:
            if os.access(directory / kind, os.X_OK):
                return directory / kind
        raise FileNotFoundError(f"no CNI plugin {kind} in {self.path}")

    @staticmethod
    def _key(conflist: Conf, attachment: Attachment) -> tuple[str, str, str]:
        return conflist["name"], attachment.container_id, attachment.ifname


def _named(attachment: Attachment) -> dict[str, str]:
    return {"containerID": attachment.container_id, "ifname": attachment.ifname}
