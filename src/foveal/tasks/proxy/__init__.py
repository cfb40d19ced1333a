"""The proxy that guides codecs: one small network close to many tasks, what it learns from, and what it minimises."""

from typing import Final

TASKS: Final = ("classify", "detect", "segment", "pose")
"""What importance can be asked for, in the order of the head of harm."""
