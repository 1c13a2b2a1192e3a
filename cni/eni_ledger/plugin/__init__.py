"""What a container runtime executes. Standard library only: every import here is paid for on each ADD."""
