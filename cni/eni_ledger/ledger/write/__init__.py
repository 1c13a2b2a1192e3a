"""Appending under the lock: the writer, its spool, rotation, recovery."""
