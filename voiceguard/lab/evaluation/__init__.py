"""Measures encoders, and the daemon with its own enrollment, pipeline and judge; makes its data.

``run`` takes a request and gives findings: each recording is decoded and gated once
(``utterances``), cut into pieces by one plan (``plan``, ``pieces``, ``material``), and read twice.
``daemon`` enrolls everybody, plays everybody's other speech to the daemon's own pipeline and
decides every trial; from its trials come the cohort and the calibration as well. ``encoders``
leaves the daemon out: embeddings of the same speech, in noise, in rooms and over the telephone, so
that any encoders stand in one table. ``report`` shows both. Blocking, on the caller's thread;
nothing here runs in the daemon.
"""
