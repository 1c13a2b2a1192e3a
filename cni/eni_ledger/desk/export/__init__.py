"""Associations and events in the formats of other programs."""
