"""Geometry of any embeddings: look-alikes, directions, paths, drift and bias."""
