"""Guides for codecs that take no map: the picture is filtered first, and the file stays a plain one. Read ``prefilter``, ``steered``."""
