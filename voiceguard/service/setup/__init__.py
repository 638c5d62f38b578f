"""What ``voiceguard setup`` and ``voiceguard service`` find, write and start."""
