"""Tests of hop 3."""
