"""What is particular to hosts that run the ECS agent: its logs, and putting eni-ledger in front of its plugins."""
