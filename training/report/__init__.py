"""The self-contained HTML report of one trained model."""
