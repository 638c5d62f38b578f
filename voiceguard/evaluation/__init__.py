"""Measures an encoder with the daemon's own gate, windows, scores and policy; makes its data.

``corpus`` reads labelled speech, ``clips`` cuts it to stated lengths, ``hearing`` plays it to the
pipeline, ``experiment`` enrolls everybody and collects their trials. From those come the cohort
(``cohorts``), the calibration (``calibrating``, ``changes``) and the figures (``decisions``).
``encoders`` leaves the daemon out: embeddings of the same trials, in noise, in rooms and over the
telephone (``protocol``, ``conditions``), so that any encoders stand in one table.
Blocking, on the caller's thread; nothing here runs in the daemon.
"""
