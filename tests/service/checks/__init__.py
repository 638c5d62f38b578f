"""What can be wrong with an installation, and what is said about it."""
