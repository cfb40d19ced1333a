"""The experiment on handwritten digits: codecs trained over a grid of weights, measured, and held against the theory."""
