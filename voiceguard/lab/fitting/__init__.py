"""Fits calibrations and predictions to trials with known answers; the figures that judge them."""
