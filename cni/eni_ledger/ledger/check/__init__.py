"""`fsck`: whether a ledger is what was written, and what can be repaired."""
