"""Hops 4 and 5 of 6: embeddings become calibrated scores, scores become a verdict.

Pure numpy. ``cosine`` and ``snorm`` compare, ``calibration`` turns a score into a log-likelihood
ratio, ``scorer`` (hop 4) does both for every voiceprint, ``policy`` (hop 5) decides. ``pooling``
makes one test embedding of a segment's windows. What fits and judges calibrations is in
``lab.fitting``.
"""
