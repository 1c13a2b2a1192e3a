"""The version of eni-ledger, in one place: the wheel, the bundle and the plugin read it here."""

__version__ = "0.3.0"
