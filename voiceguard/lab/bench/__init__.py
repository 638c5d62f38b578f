"""Measures speed on this machine: of the whole daemon, and of encoders side by side."""
