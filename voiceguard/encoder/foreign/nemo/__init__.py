"""NVIDIA NeMo's archives of speaker models."""
