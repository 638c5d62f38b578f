"""Hop 3: from 16 kHz speech to speaker embeddings. Importing it does not import torch."""

from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.loading import load_encoder

__all__ = ["EncoderConfig", "load_encoder"]
