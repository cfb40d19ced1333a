"""Networks around a standard codec: network, codec, network. The codec in the middle, its host, stays as it is."""
