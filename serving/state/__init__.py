"""What the online service may keep of a user between requests, and where."""
