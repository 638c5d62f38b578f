"""What is said of the daemon: health, status, words to systemd."""
