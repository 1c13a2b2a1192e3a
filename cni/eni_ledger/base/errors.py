"""Every error that eni-ledger raises on purpose. One kind in, one way out.

::

    EniLedgerError                    code  msg  details  hint
    ├── CniError                      what the CNI specification names, codes 1 to 99
    │   ├── IncompatibleVersion       1   cniVersion is not one of ours, or too old for the command
    │   ├── UnknownContainer          3   CHECK of an attachment that is not there any more
    │   ├── InvalidEnvironment        4   CNI_* variables missing or malformed, all named at once
    │   ├── IoFailure                 5   stdin could not be read
    │   ├── DecodeFailure             6   stdin is no JSON, no UTF-8, too long or too deep
    │   ├── InvalidNetworkConfig      7   the network configuration is JSON, but not one we can use
    │   ├── InvalidNetns              8   CNI_NETNS is the plugin's own namespace, or none at all
    │   └── NotAvailable              50  STATUS: an ADD could not be recorded now
    ├── LedgerError                   the log itself, codes from 100
    │   ├── StateDirError             100 the state directory is missing, a symlink, not ours, not writable
    │   ├── LockTimeout               101 another writer kept the lock for longer than we wait
    │   ├── WriteFailed               102 the line could not be appended or synced
    │   ├── LedgerDamaged             103 a line that is not what was written: path, line, offset
    │   │   └── LedgerUnreadable      108 one of several ledgers cannot be read
    │   ├── FutureFormat              104 written by a later eni-ledger than this one
    │   ├── ConfigError               105 the configuration file cannot be used
    │   ├── AmbiguousAttachment       106 a DEL or CHECK may be of several live attachments
    │   └── ArchiveError              107 an archive of a ledger is cut short, damaged, or has what is not taken
    ├── ObserveError                  110 the kernel did not show what we asked for
    ├── AttachmentChanged             111 CHECK: what was recorded is no longer so
    ├── NotRecorded                   112 CHECK with onError=fail: this attachment is not in the ledger
    ├── DelegateError             113 the plugin that we stand in front of cannot be run
    ├── InstallError              114 a host or tree is not as installing or uninstalling needs it
    ├── CaptureError                  115 a packet capture is not one, or is cut off
    ├── NotFound                      120 nothing in the ledger matches (commands exit 1)
    └── UsageError                    121 an argument that cannot be understood (commands exit 2)

Codes 1 to 99 are the CNI specification's (SPEC.md 1.1.0, "Error"; 8 is the reference implementation's); plugins
have 100 and above for themselves. An exception that is none of these is a bug and reaches a runtime as code 999.

Standard library only: this module is loaded on every ADD.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


class EniLedgerError(Exception):
    """Base of all: what went wrong, where, and what to do about it.

    `msg` is one sentence without a full stop. `details` names the field, file or offset. `hint` is what the reader
    can do; the command line prints it after ``try:``. `code` is the CNI error code; a subclass has its own. `status` is
    the exit status, where a command has other ones than the rest; else 0.
    """

    code: int = 999
    status: int = 0

    def __init__(self, msg: str, details: str = "", hint: str = "") -> None:
        super().__init__(msg)
        self.msg = msg
        self.details = details
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.msg}: {self.details}" if self.details else self.msg

    def to_cni(self, cni_version: str) -> dict[str, str | int]:
        """Return the error object of the CNI specification, for `cni_version`; the hint goes into `details`."""
        details = f"{self.details}; {self.hint}" if self.details and self.hint else self.details or self.hint
        out: dict[str, str | int] = {"cniVersion": cni_version, "code": self.code, "msg": self.msg}
        if details:
            out["details"] = details
        return out


class CniError(EniLedgerError):
    """An error whose code the CNI specification defines."""


class IncompatibleVersion(CniError):
    """The configuration's cniVersion is not supported, or does not have the command."""

    code = 1


class UnknownContainer(CniError):
    """The container or its namespace is not there."""

    code = 3


class InvalidEnvironment(CniError):
    """Environment variables are missing or malformed; all of them are named."""

    code = 4


class IoFailure(CniError):
    """Reading the configuration failed."""

    code = 5


class DecodeFailure(CniError):
    """The configuration could not be decoded."""

    code = 6


class InvalidNetworkConfig(CniError):
    """The configuration was decoded and is not valid."""

    code = 7


class InvalidNetns(CniError):
    """CNI_NETNS is no network namespace, or the plugin's own."""

    code = 8


class NotAvailable(CniError):
    """STATUS: an ADD could not be served now."""

    code = 50


class LedgerError(EniLedgerError):
    """The log could not be read or written."""


class StateDirError(LedgerError):
    """The state directory cannot be used."""

    code = 100


class LockTimeout(LedgerError):
    """Another writer kept the lock for longer than we wait."""

    code = 101


class WriteFailed(LedgerError):
    """A line could not be appended or made durable."""

    code = 102


class LedgerDamaged(LedgerError):
    """A line of the ledger is not what a writer wrote.

    `path` is the file, `line` counts from 1, `offset` is the byte at which the damaged line starts. `associations`
    holds the part of the answer that the sound lines give, `others` the other problems where several ledgers were
    asked.
    """

    code = 103

    def __init__(self, msg: str, *, path: str, line: int, offset: int) -> None:
        super().__init__(
            msg,
            details=f"{path} line {line}, offset {offset}",
            hint="eni-ledger fsck shows what is sound; keep the file, it is evidence",
        )
        self.path = path
        self.line = line
        self.offset = offset
        self.associations: list[Association] = []
        self.others: list[EniLedgerError] = []


class LedgerUnreadable(LedgerDamaged):
    """One of several ledgers cannot be read, `why` says the reason. `path` is the ledger's, `line` and `offset` 0."""

    code = 108

    def __init__(self, path: str, why: EniLedgerError) -> None:
        super().__init__(why.msg, path=path, line=0, offset=0)
        self.details = why.details or path
        self.hint = why.hint


class ArchiveError(LedgerError):
    """An archive of a ledger is cut short, damaged, or has something in it that is not taken."""

    code = 107


class FutureFormat(LedgerError):
    """The ledger was written in a later format than this version reads."""

    code = 104


class ConfigError(LedgerError):
    """The configuration file cannot be read or has a key or value that is not known."""

    code = 105


class AmbiguousAttachment(LedgerError):
    """Several live attachments have the container ID and ifname of a DEL or CHECK, and nothing tells which is meant."""

    code = 106


class ObserveError(EniLedgerError):
    """The kernel did not show what was asked for."""

    code = 110


class AttachmentChanged(EniLedgerError):
    """CHECK: what was recorded is no longer so."""

    code = 111


class NotRecorded(EniLedgerError):
    """CHECK: the attachment is not in the ledger."""

    code = 112


class DelegateError(EniLedgerError):
    """The plugin that eni-ledger stands in front of is missing, cannot be executed, or is eni-ledger itself."""

    code = 113


class InstallError(EniLedgerError):
    """Installing or uninstalling cannot go on: the host, the tree or the bundle is not what that needs."""

    code = 114


class CaptureError(EniLedgerError):
    """A file is no packet capture, or it is not whole; `details` names the byte offset."""

    code = 115


class NotFound(EniLedgerError):
    """Nothing in the ledger matches."""

    code = 120


class UsageError(EniLedgerError):
    """An argument that cannot be understood."""

    code = 121
