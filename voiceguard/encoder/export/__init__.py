"""Encoders as ONNX files that other programs can run."""
