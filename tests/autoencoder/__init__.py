"""Tests of the autoencoder room."""
