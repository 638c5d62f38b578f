"""Evaluations as tables, plain values, and one HTML page."""
