"""What set-up finds, writes and starts."""
