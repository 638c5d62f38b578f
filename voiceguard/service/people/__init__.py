"""What is kept of people on their word: marks made and taken back, everything forgotten."""
