"""Review: gates before a model becomes champion, and a log of who decided what."""
