"""What a training run learns from: speech, voices, and who is held out."""
