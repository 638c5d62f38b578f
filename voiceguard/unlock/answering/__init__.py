"""The daemon's side of locks: requests in, what was decided about speech in, envelopes out."""
