"""Commands about encoders: ``voiceguard models``."""
