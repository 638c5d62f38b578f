"""``python -m voiceguard``: the same as the ``voiceguard`` command."""

from voiceguard.cli import main

if __name__ == "__main__":
    main()
