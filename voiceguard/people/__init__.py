"""Rules for people: who may be accepted where, when, and for what. Pure but for the time zone."""
