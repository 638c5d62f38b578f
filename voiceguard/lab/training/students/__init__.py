"""What learns in a run: networks, what is asked of them, and what of them is kept."""
