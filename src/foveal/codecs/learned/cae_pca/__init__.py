"""``cae-pca``: a convolutional auto-encoder whose maps are rotated to their principal axes before they are quantised.

Read in this order: ``transforms``, ``start``, ``model`` (training), ``rotation``, ``densities``, ``networks`` (what ships), ``codec``; ``compaction``
shows what the rotation does.
"""
