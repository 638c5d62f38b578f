"""``voiceguard setup`` and ``voiceguard service``: from nothing to a daemon that listens."""
