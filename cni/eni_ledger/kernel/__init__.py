"""Queries to the Linux kernel. `pyroute` and `scan` use pyroute2; the rest is on the ADD path."""
