"""Sweeps: what is trained, where it is stored, how it is gone on with."""
