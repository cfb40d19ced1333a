"""Counts as a person says them."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 picture``, ``2 pictures``. plural: where it is not the noun and an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
