"""``voiceguard run``, and what it says."""
