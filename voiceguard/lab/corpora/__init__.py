"""Labelled speech: which recordings there are, cut to lengths, as rooms and noise deliver it."""
