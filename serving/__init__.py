"""The product in use: models from the registry, batch scoring."""
