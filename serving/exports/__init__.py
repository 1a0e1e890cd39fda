"""Audience files and payloads in the form that each destination accepts."""
