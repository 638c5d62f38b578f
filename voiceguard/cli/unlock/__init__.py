"""``voiceguard unlock``: what a lock needs of the daemon."""
