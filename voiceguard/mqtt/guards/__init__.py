"""Hop 6 of 6: what keeps one refusal, flood or oversized message from costing the others."""
