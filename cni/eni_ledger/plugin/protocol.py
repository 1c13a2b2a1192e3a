"""CNI as the specification has it: environment, standard input, versions, results and errors.

Source: SPEC.md 1.1.0 of containernetworking/cni, sections 2 and 5; where it is silent, its reference
implementation (`pkg/skel`, `pkg/utils`). `serve` is the whole life of one call and takes its environment and
streams as arguments, so that all of it can be tested without a process.
"""

from __future__ import annotations

import os
from time import monotonic_ns

from eni_ledger.base import errors
from eni_ledger.base.minijson import dumps, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
LATEST = VERSIONS[-1]
#: Results of one family differ in their cniVersion only; of two families they differ in form.
FAMILY = {"0.1.0": 1, "0.2.0": 1, "0.3.0": 2, "0.3.1": 2, "0.4.0": 2, "1.0.0": 3, "1.1.0": 3}
#: The first version of the specification that has the command.
SINCE = {"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
STDIN_LIMIT = 1 << 20

# The specification lists CNI_PATH as optional (for GC it says required), the reference implementation demands
# it everywhere. It is where a plugin finds its delegates; we have none, so a call without it is served.
_NEEDS = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": (),
    "STATUS": (),
}

_NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME_CHARS = _NAME_FIRST | frozenset("_.-")
# White space as Go's unicode.IsSpace has it. Python's str.isspace would also refuse the control characters 1C
# to 1F.
_NOT_IN_IFNAME = frozenset(
    "/: \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_IFNAME_BYTES = 15


class Call:
    """One call of the runtime: what it asked for, and the way to answer.

    `container_id`, `netns`, `ifname` and `network` are the CNI parameters, empty when not given; `version` is
    the configuration's; `conf` the configuration; `prev_text` the prevResult exactly as it came, empty
    without one; `started` when it all began, nanoseconds of the monotonic clock; `problems` what is wrong with the
    host's own configuration file. `quiet` is whether standard error is not for us: a runtime takes it for the reason of
    a call that fails with nothing on standard output (libcni's `invoke`), and that is the delegate's.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        stdout: BinaryIO | None,
        stderr: BinaryIO | None,
        started: int | None = None,
    ) -> None:
        self.started = monotonic_ns() if started is None else started
        self.env = env
        self.command = env.get("CNI_COMMAND", "")
        self.container_id = env.get("CNI_CONTAINERID", "")
        self.netns = env.get("CNI_NETNS", "")
        self.ifname = env.get("CNI_IFNAME", "")
        self.network = ""
        self.version = LATEST
        self.conf: dict[str, Any] = {}
        self.prev_text = ""
        self.replied = False
        self.problems: list[errors.ConfigError] = []
        self.quiet = False
        self._stdout = stdout
        self._stderr = stderr

    def reply(self, text: str) -> None:
        """Write the one JSON document of this call to standard output; raises IoFailure if that fails."""
        self.replied = True
        try:
            if self._stdout is None:
                raise OSError("it is closed")
            self._stdout.write(text.encode("utf-8", "backslashreplace"))
            self._stdout.flush()
        except (OSError, ValueError) as exc:  # ValueError is what a closed Python stream raises
            raise errors.IoFailure("the answer cannot be written to standard output", str(exc)) from exc

    def complain(self, text: str) -> None:
        """Write one line to standard error, control characters escaped, unless `quiet`. Never raises."""
        line = "eni-ledger: " + shown(text) + "\n"
        try:
            if self._stderr is not None and not self.quiet:
                self._stderr.write(line.encode("utf-8", "backslashreplace"))
                self._stderr.flush()
        except (OSError, ValueError):
            pass  # stderr is closed: there is no other place to report to


def shown(text: str) -> str:
    """Return `text` as one printable line: everything that does not print is a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_name(text: str) -> bool:
    """Return whether all of `text` is `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, as a container ID or network name is."""
    return text[:1] in _NAME_FIRST and _NAME_CHARS.issuperset(text)


def ifname_fault(text: str) -> str:
    """Return what keeps `text` from being an interface name on Linux, empty when nothing does."""
    if len(os.fsencode(text)) > _IFNAME_BYTES:
        return f"longer than {_IFNAME_BYTES} bytes"
    if text in (".", ".."):
        return "not a name"
    if not _NOT_IN_IFNAME.isdisjoint(text):
        return "contains a slash, a colon or white space"
    return ""


def check_environment(env: Mapping[str, str]) -> None:
    """Raise InvalidEnvironment naming every CNI_* variable that the command needs and that is not right.

    An empty variable counts as missing, as in the reference implementation.
    """
    command = env.get("CNI_COMMAND", "")
    if not command:
        raise errors.InvalidEnvironment(
            "required environment variables missing: CNI_COMMAND",
            hint="one of " + " ".join((*_NEEDS, "VERSION")),
        )
    needed = _NEEDS.get(command)
    if needed is None:
        raise errors.InvalidEnvironment(
            "unknown CNI_COMMAND", f"CNI_COMMAND={command[:80]!r}", "one of " + " ".join((*_NEEDS, "VERSION"))
        )
    missing = [name for name in needed if not env.get(name)]
    faults = {}
    if "CNI_CONTAINERID" in needed and env.get("CNI_CONTAINERID") and not is_name(env["CNI_CONTAINERID"]):
        faults["CNI_CONTAINERID"] = "not a letter or digit followed by letters, digits, '_', '.' or '-'"
    if "CNI_IFNAME" in needed and env.get("CNI_IFNAME"):
        faults["CNI_IFNAME"] = ifname_fault(env["CNI_IFNAME"])
    malformed = [name for name, fault in faults.items() if fault]
    messages = []
    if missing:
        messages.append("required environment variables missing: " + ", ".join(missing))
    if malformed:
        messages.append("malformed environment variables: " + ", ".join(malformed))
    if messages:
        details = "; ".join(f"{name}={env[name][:80]!r} is {faults[name]}" for name in malformed)
        raise errors.InvalidEnvironment("; ".join(messages), details)


def read_stdin(stdin: BinaryIO | None) -> bytes:
    """Return standard input to its end. Raises IoFailure; DecodeFailure beyond STDIN_LIMIT bytes."""
    if stdin is None:
        return b""
    try:
        data = stdin.read(STDIN_LIMIT + 1) or b""
    except (OSError, ValueError) as exc:
        raise errors.IoFailure("the network configuration cannot be read from standard input", str(exc)) from exc
    if len(data) > STDIN_LIMIT:
        raise errors.DecodeFailure("the network configuration is too long", f"more than {STDIN_LIMIT} bytes")
    return data


def parse_conf(call: Call, data: bytes) -> None:
    """Set the call's fields from the network configuration: `conf`, `prev_text`, `version`, `network`.

    Raises DecodeFailure if `data` is not a JSON object. `read_conf` validates the values.
    """
    if not data:
        raise errors.DecodeFailure("no network configuration on standard input")
    try:
        text = data.decode()
        pairs = members(text)
    except UnicodeDecodeError as exc:
        raise errors.DecodeFailure("the network configuration is not UTF-8", f"at byte {exc.start}") from None
    except ValueError as exc:
        raise errors.DecodeFailure("the network configuration is not a JSON object", str(exc)) from None
    call.conf = {key: value for key, value, _, _ in pairs}
    for key, value, start, end in pairs:
        if key == "prevResult":
            call.prev_text = "" if value is None else text[start:end]
    version = call.conf.get("cniVersion") or "0.1.0"
    if isinstance(version, str) and version in VERSIONS:  # every error is answered in it
        call.version = version
    name = call.conf.get("name")
    if isinstance(name, str):
        call.network = name


def read_conf(call: Call, data: bytes) -> None:
    """Parse and validate a configuration. Raises DecodeFailure, InvalidNetworkConfig, IncompatibleVersion."""
    parse_conf(call, data)
    name = call.conf.get("name")
    if name is None or name == "":
        raise errors.InvalidNetworkConfig("missing network name", "name")
    if not isinstance(name, str) or not is_name(name):
        hint = "a letter or digit followed by letters, digits, '_', '.' or '-'"
        raise errors.InvalidNetworkConfig("invalid network name", f"name={name!r:.200}", hint)
    version = call.conf.get("cniVersion")
    check_version(call.command, "0.1.0" if version is None or version == "" else version)


def check_version(command: str, version: object) -> None:
    """Raise IncompatibleVersion unless a configuration of `version` is one of ours and has `command`.

    A version that is no string is a DecodeFailure, which is the specification's own example for that code.
    """
    if not isinstance(version, str):
        raise errors.DecodeFailure("cniVersion is not a string", f"cniVersion={version!r:.80}")
    if version not in VERSIONS:
        details = f"cniVersion={version[:80]!r}, supported are {' '.join(VERSIONS)}"
        raise errors.IncompatibleVersion("incompatible CNI version", details)
    since = SINCE[command]
    if VERSIONS.index(version) < VERSIONS.index(since):
        details = f"cniVersion={version}, {command} exists from {since}"
        raise errors.IncompatibleVersion(f"the configuration's version does not have {command}", details)


def prev_result(call: Call) -> tuple[dict[str, Any], str]:
    """Return prevResult, and it as the result to print: the same bytes, cniVersion the configuration's.

    Within a family the reference implementation, too, changes nothing but cniVersion, and one that has none
    counts as having the configuration's (before 1.0.0 a result need not say). Raises InvalidNetworkConfig
    when there is none or it is no object, IncompatibleVersion when it is of another family than the
    configuration.
    """
    prev = call.conf.get("prevResult")
    if prev is None:
        hint = "put eni-ledger after the plugin that makes the interface"
        raise errors.InvalidNetworkConfig("no prevResult in the network configuration", "prevResult", hint)
    if not isinstance(prev, dict):
        raise errors.InvalidNetworkConfig("prevResult is not an object", f"prevResult={prev!r:.80}")
    version = prev.get("cniVersion")
    if version == call.version:
        return prev, call.prev_text
    if version is not None and not isinstance(version, str):
        raise errors.InvalidNetworkConfig("cniVersion of prevResult is not a string", f"cniVersion={version!r:.80}")
    if version and FAMILY.get(version) != FAMILY[call.version]:
        details = f"prevResult has cniVersion={version[:80]!r}, the configuration {call.version}"
        raise errors.IncompatibleVersion("prevResult is of another version than the configuration", details)
    return prev, _with_version(call.prev_text, call.version)


def _with_version(text: str, version: str) -> str:
    """Return the JSON object `text` with `version` as its cniVersion, everything else as it is."""
    spans = [(start, end) for key, _, start, end in members(text) if key == "cniVersion"]
    for start, end in reversed(spans):
        text = f'{text[:start]}"{version}"{text[end:]}'
    if spans:
        return text
    rest = text[1:]
    comma = "" if rest.lstrip(" \t\r\n").startswith("}") else ","
    return f'{{"cniVersion":"{version}"{comma}{rest}'


def _answer_version(call: Call, stdin: BinaryIO | None) -> None:
    """Answer VERSION. Whatever standard input holds, the answer is the same but for the version it echoes."""
    version: object = LATEST
    try:
        if stdin is not None and not stdin.isatty():  # on a terminal, do not wait for ^D
            version = {key: value for key, value, _, _ in members(read_stdin(stdin).decode())}.get("cniVersion")
    except (errors.DecodeFailure, errors.IoFailure, OSError, ValueError):
        pass
    echoed = version if isinstance(version, str) and version in VERSIONS else LATEST
    call.reply(dumps({"cniVersion": echoed, "supportedVersions": list(VERSIONS)}))


def _harmless(call: Call) -> bool:
    """Let a call succeed that failed by an error of eni-ledger: the last handler, below that of each command.

    Returns False where the runtime needs an error: STATUS, `onError` `fail`, or no result that could be passed on.
    """
    if call.replied or call.command not in ("ADD", "DEL", "CHECK", "GC") or call.conf.get("onError") == "fail":
        return False
    try:
        if call.command == "ADD":
            call.reply(prev_result(call)[1])
        return True
    except errors.EniLedgerError:
        return False


def serve(
    env: Mapping[str, str],
    stdin: BinaryIO | None,
    stdout: BinaryIO | None,
    stderr: BinaryIO | None,
    act: Callable[[Call], None],
    started: int | None = None,
) -> int:
    """Serve one call and return the exit status: 0, or 1 with the error as JSON on `stdout`. Never raises.

    `act` does what the command asks for, with a call that is valid, and is not asked for VERSION. `started`
    is when the process began, nanoseconds of the monotonic clock.
    """

    def spec(call: Call) -> None:
        if call.command == "VERSION":
            _answer_version(call, stdin)
        else:
            check_environment(env)
            read_conf(call, read_stdin(stdin))
            act(call)

    return guarded(Call(env, stdout, stderr, started), spec)


def guarded(call: Call, act: Callable[[Call], None]) -> int:
    """Do `act` and return the exit status: 0, or 1 with the error as JSON on standard output. Never raises."""
    try:
        act(call)
        return 0
    except errors.EniLedgerError as exc:
        error = exc
    except Exception as exc:  # a bug, or a machine on which nothing works
        error = errors.EniLedgerError(f"internal error: {type(exc).__name__}", shown(str(exc))[:500])
        if _harmless(call):
            call.complain(str(error))
            return 0
    call.complain(str(error))
    if not call.replied:
        try:
            call.reply(dumps(error.to_cni(call.version)))
        except errors.IoFailure as exc:
            call.complain(str(exc))
    return 1
