"""The daemon's whole path over a corpus: what it would have said, and how often it was wrong."""
