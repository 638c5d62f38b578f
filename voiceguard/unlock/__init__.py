"""A signed answer to one question of one lock: may this action happen now?

``verifier`` is for the consumer (the lock) and light: no torch, no numpy. The rest is the daemon's
side. docs/unlock.md says what each check defends against.
"""
