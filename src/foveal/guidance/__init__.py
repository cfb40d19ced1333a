"""Guides made by a network: where a machine looks, and what a codec should spend there (docs/guidance.md)."""
