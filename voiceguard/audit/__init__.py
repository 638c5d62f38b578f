"""What concerns a lock, written down so that a change to it is seen.

Blocking (files, fsync): the daemon calls it on its I/O executor.
"""
