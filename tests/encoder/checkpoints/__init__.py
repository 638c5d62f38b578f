"""Tests of checkpoint formats."""
