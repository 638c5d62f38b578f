"""Hop 3: encoders that compute, by torch, by ONNX Runtime or as TorchScript programs."""
