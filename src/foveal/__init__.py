"""Foveal codes images for two readers, people and machines."""

from foveal.api import analyze, decode, encode, info
from foveal.codecs.base import Codec, EncodeSettings, FileInfo
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.codecs.search import Target
from foveal.errors import FovealError
from foveal.limits import Limits
from foveal.media.image_io import read_picture, write_picture
from foveal.picture import Picture
from foveal.pillow_plugin import register_pillow

__version__ = "0.1.0"

__all__ = [
    "Codec",
    "EncodeSettings",
    "FileInfo",
    "FovealError",
    "Limits",
    "Picture",
    "Target",
    "all_codecs",
    "analyze",
    "codec_by_name",
    "decode",
    "encode",
    "info",
    "read_picture",
    "register_pillow",
    "write_picture",
]
