"""From data that somebody else wrote to a value of ours, or a refusal in words.

``parsing``: the one door for JSON from outside. ``reading``: plain data to strict dataclasses.
``ranges``: the limits of settings, stated on their fields.
"""
