"""Hops 2 to 5 of one stream: what joins gate, encoder, scores and policy."""
