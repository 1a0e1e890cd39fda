"""Raw event logs to memory-mapped, per-user sequences."""
