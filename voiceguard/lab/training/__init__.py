"""Training an encoder: data, corruption of crops, losses, the loop."""
