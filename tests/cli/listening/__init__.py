"""``voiceguard run``."""
