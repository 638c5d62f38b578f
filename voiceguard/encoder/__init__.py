"""Hop 3: from 16 kHz speech to speaker embeddings. Importing it does not import torch."""

from voiceguard.encoder.registry import EncoderConfig, load_encoder

__all__ = ["EncoderConfig", "load_encoder"]
