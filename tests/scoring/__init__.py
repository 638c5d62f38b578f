"""Tests of voiceguard.scoring."""
