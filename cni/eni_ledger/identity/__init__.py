"""Which ENI and which ECS task an attachment belongs to."""
