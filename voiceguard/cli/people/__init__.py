"""Commands about people: enrolling, voiceprints, moving them."""
