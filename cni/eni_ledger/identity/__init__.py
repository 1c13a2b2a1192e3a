"""Which ENI and which task a MAC address belongs to, asked of those who know without a network call on the ADD path."""
