"""`fsck`: verify a ledger, and repair what can be repaired."""
