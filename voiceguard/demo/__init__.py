"""The demo: a synthetic household, and the daemon that listens to it."""
