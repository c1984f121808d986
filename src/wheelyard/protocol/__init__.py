"""Bytes to model and back: pure, no I/O, no clock, no async."""
