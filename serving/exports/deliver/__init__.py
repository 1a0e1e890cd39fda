"""Sending written payloads to a base address: slowly enough, again where needed, never twice."""
