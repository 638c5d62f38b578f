"""Tests of what is stored about enrolled speakers."""
