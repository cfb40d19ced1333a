"""``frequency``: Foveal's own learned codec. Read ``transforms``, ``prior``, ``model`` (training), ``codec`` (files)."""
