"""The sequence autoencoder: torch modules only."""
