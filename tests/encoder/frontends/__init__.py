"""Tests of front ends."""
