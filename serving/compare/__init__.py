"""Two segments side by side."""
