"""``hyperprior``: GDN transforms with a mean-scale hyperprior. Read ``model`` (training), ``networks``, ``codec`` (files)."""

from foveal.codecs.learned.hyperprior.codec import HyperpriorCodec as HyperpriorCodec
