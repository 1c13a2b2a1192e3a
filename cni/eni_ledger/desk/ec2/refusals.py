"""Errors of a request in EC2's terms."""

from __future__ import annotations

from eni_ledger.base.errors import UsageError


class Refused(UsageError):
    """A request that EC2 would refuse; `ec2_code` is the code of the EC2 API reference ("Error codes")."""

    def __init__(self, ec2_code: str, msg: str, hint: str = "") -> None:
        super().__init__(msg, hint=hint)
        self.ec2_code = ec2_code


def invalid_value(msg: str, hint: str = "") -> Refused:
    """Return the error for a parameter with a value that cannot be used."""
    return Refused("InvalidParameterValue", msg, hint)
