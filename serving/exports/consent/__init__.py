"""Whether a person's consent covers an export: plain columns, TCF and GPP strings."""
