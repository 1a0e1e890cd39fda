"""Health over time: two scored populations beside each other, with reasons to look closer."""
