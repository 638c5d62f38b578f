"""The control socket of a running daemon: what other processes of its user ask and watch."""
