"""What rooms, noise, microphones and channels do to a training crop."""
