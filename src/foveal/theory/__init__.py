"""Rate-distortion-classification functions: closed forms, a certified solver, properties, plots (docs/theory.md)."""
