"""Hop 2: levels, the gate that lets speech through, and the windows that are cut from it. Pure."""
