"""The online service: one user's events in, a segment out, while the page loads."""
