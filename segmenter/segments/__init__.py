"""Embeddings to segments: arrays in, labels out."""
