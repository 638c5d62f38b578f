"""Formats of encoder checkpoints: one module each."""
