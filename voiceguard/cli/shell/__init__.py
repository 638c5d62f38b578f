"""What the command line says of itself: help pages, and completion in the shell."""
