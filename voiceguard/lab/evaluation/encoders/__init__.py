"""Encoders alone, on the same trials for each."""
