"""What the Linux kernel is asked. `pyroute` and `scan` use pyroute2; the rest is on the ADD path."""
