"""One file for each command; none imports another."""
