"""Hop 6 of 6: decisions and states to an MQTT broker, commands from it. Event loop only."""
