"""Hop 6 of 6: what Home Assistant is told, so that it shows everything by itself; and its removal.

Pure, but for ``forgetting``, which visits the broker.
"""
