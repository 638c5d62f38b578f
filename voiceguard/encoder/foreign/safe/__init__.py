"""Readers that treat other people's files as hostile data."""
