"""Wyoming: real clients and servers on loopback."""
