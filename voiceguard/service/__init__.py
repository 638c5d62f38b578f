"""The daemon: the parts put together, run, watched and ended."""
