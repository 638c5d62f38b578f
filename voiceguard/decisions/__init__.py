"""A decision as it leaves the daemon: its wire form, its explanation, the history and the sinks."""
