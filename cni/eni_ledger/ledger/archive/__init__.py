"""Packed segments: their index, and `prune`, which packs them."""
