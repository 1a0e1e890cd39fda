"""The encoder for one user at a time, in NumPy: while a page loads, calls cost more than numbers.

The network in `segmenter.autoencoder.model` remains what is trained and what a batch is embedded
by; tests hold both to the same numbers.
"""
