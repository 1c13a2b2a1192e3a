"""Snapshots of a ledger without a lock, and finding events in them."""
