"""The segmenter of road scenes that comes with foveal: its network, the scenes that it learns from, and what it minimises."""
