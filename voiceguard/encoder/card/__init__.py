"""What is known of a model: its card, and the weights file that the card vouches for."""
