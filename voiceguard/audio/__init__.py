"""Hop 1 of 6: adapters that deliver audio; and what makes it mono 16 kHz."""
