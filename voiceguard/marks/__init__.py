"""What people say of decisions, right or wrong: what it means of whom, and where it is kept.

How far it moves thresholds is hop 5's (``scoring.adaptation``). Blocking.
"""
