"""What a codec of a bench may be besides plain, and how it is spelled. Every kind of variant is one subclass and one row of the table here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from foveal.bench.around_variants import InNetworks, SteeredInNetworks, compact_variant, preprocessed_variant, restored_variant
from foveal.bench.guided_variants import adaptive_variant, boxes_variant, low_pass_variant, machine_variant
from foveal.bench.latent_variant import latent_variant
from foveal.bench.variant import Variant
from foveal.codecs.around.note import NOTED_HOSTS
from foveal.codecs.base import CodecInfo
from foveal.errors import SettingsError
from foveal.tasks.choice import LATENT_CODEC

_KINDS: Final[Mapping[str, Callable[[str], Variant]]] = {
    "machine": machine_variant,
    "lowpass": low_pass_variant,
    "aq": adaptive_variant,
    "boxes": boxes_variant,
    "npp": preprocessed_variant,
    "compact": compact_variant,
    "restored": restored_variant,
    "latent": latent_variant,
}


def variants_of(info: CodecInfo) -> tuple[str, ...]:
    """What a codec may be asked for beside networks around it, for messages."""
    own = ("aq",) if info.adaptive else ()
    if info.name == LATENT_CODEC:
        own = (*own, "latent")
    return ("machine[=WORD+WORD]", "lowpass[=PIXELS]", *own, "boxes=DETECTOR[+OCTAVES]")


def networks_of(info: CodecInfo) -> tuple[str, ...]:
    """The networks around it that a codec may be asked for, for messages."""
    if info.learned:
        return ()
    return ("npp[=CODEC]", "compact", "restored") if info.name in NOTED_HOSTS else ("npp[=CODEC]",)


def parse_variant(option: str) -> Variant | None:
    """The variant that ``machine=detect+pose``, ``lowpass=0.7``, ``aq`` or ``boxes=yolox+1.5`` asks for; None for another option.

    Raises:
        SettingsError: a variant with a value that it does not take.
    """
    name, equals, value = option.partition("=")
    kind = _KINDS.get(name)
    if kind is None:
        return None
    if equals and not value:
        raise SettingsError(f"{option} without a value; leave the = out, or give one")
    return kind(value)


def together(variants: Sequence[Variant]) -> Variant | None:
    """Variants that are asked for of one codec: none, one, or one by networks and one by another way. None: they do not go together, or there
    are none.
    """
    networks = [variant for variant in variants if isinstance(variant, InNetworks)]
    others = [variant for variant in variants if not isinstance(variant, InNetworks)]
    if len(networks) > 1 or len(others) > 1:
        return None
    if networks and others:
        return SteeredInNetworks(others[0], networks[0])
    return next(iter(variants), None)
