"""Journeys from any point of the latent, with what tells how far to trust them."""
