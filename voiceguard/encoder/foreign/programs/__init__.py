"""Encoders whose file is a program: ONNX graphs and TorchScript modules, with their sidecars."""
