"""Front ends: from samples to what a network sees, one file per family of encoders."""
