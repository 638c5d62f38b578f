"""Measures an encoder with the daemon's own gate, windows, scores and policy; makes its data.

``daemon`` enrolls everybody, plays everybody's other speech to the daemon's own pipeline and
collects the trials; from those come the cohort, the calibration and the figures. ``encoders``
leaves the daemon out: embeddings of the same trials, in noise, in rooms and over the telephone, so
that any encoders stand in one table. ``report`` shows both.
Blocking, on the caller's thread; nothing here runs in the daemon.
"""
