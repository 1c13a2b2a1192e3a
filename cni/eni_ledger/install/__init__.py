"""Putting eni-ledger where the ECS agent or a CNI runtime calls it, and taking it away."""
