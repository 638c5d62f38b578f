"""The network that hears several voices at once."""
