"""Recipes: frozen dataclasses read from TOML, unknown keys refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveal.declared import build, read_toml


@dataclass(frozen=True)
class DataConfig:
    """Which photographs to train on; the folder itself is given on the command line. pattern: or several, with ``|`` between them."""

    pattern: str = "*"
    held_out_every: int = 40


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What every run has. ``model`` holds the sizes of what is trained, which checks them.

    weight_decay: how much of themselves weights lose for each unit of the learning rate; biases and factors lose nothing.
    bfloat16: whether networks compute in bfloat16: twice as fast where the device has it; float32 where it does not. Its 8 bits are too few for codecs of
    fine rates, whose transforms come within 48 dB of the picture.
    """

    steps: int
    batch: int = 8
    learning_rate: float = 5e-4
    warmup_steps: int = 500
    decay_from: float = 0.6
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    weight_decay: float = 0.0
    bfloat16: bool = False
    seed: int = 1
    model: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class CodecConfig(TrainConfig):
    """A run that trains a codec on crops of photographs, ``crop`` pixels square.

    prior_rate_factor, started_rate_factor: how much faster, or slower, than the rest entropy models learn, and the tensors that
    the model's ``started`` matches, which start as a transform that only wants bending.
    distortion: ``mse`` or ``ms-ssim``. band_dropout: the part of the steps that see only a prefix of the bands. spatial_quality: the part of the pictures
    whose quality changes inside them.
    """

    codec: str
    crop: int = 192
    prior_rate_factor: float = 1.0
    started_rate_factor: float = 1.0
    loss_balance: float = 0.5
    distortion: str = "mse"
    band_dropout: float = 0.0
    spatial_quality: float = 0.0
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return self.codec


@dataclass(frozen=True)
class NetworkConfig(TrainConfig):
    """A run that trains a task's network on labelled pictures, of which it sees ``crop_rows`` x ``crop_columns`` pixels at a time.

    through: the name of weights of ``frequency`` by which pictures are coded and decoded first, at qualities from coarsest to finest, the
    coarser the more often; then crops are multiples of 64. Empty for pictures as they are.
    """

    network: str
    crop_rows: int = 240
    crop_columns: int = 320
    through: str = ""
    coarsest: float = 1.0
    finest: float = 60.0

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return self.network


@dataclass(frozen=True)
class AroundConfig(TrainConfig):
    """A run that trains a network around a standard codec, ``host``, on crops of photographs, ``crop`` pixels square.

    part: what the network does there (``codecs/around/cards``).
    """

    part: str
    host: str
    crop: int = 192
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return f"{self.part} for {self.host}"


@dataclass(frozen=True)
class RecurrentConfig(TrainConfig):
    """A run that trains ``rnn-2015`` or ``rnn-2017`` on crops of photographs, ``crop`` pixels square.

    stochastic_until: the part of the steps whose bits are drawn with the odds that the encoder gives them; after it they are signs.
    prior_rate_factor: how much faster the entropy coder's network learns than the rest.
    """

    codec: str
    crop: int = 64
    stochastic_until: float = 0.5
    prior_rate_factor: float = 1.0
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return self.codec


@dataclass(frozen=True)
class LatentTraining(TrainConfig):
    """A run that trains networks which read latents, of pictures of ``crop_rows`` x ``crop_columns`` pixels, multiples of 64.

    reads: the name of the codec's weights that make the latents; they do not change. trunk: weights that read latents, such as those of
    other weights of the codec, whose trunk the run begins with; what the codec's synthesis knows if left out. keep: whether that trunk stays as it is, and with
    it the heads of ``[model]`` that these weights have, so that further ones are learned beside them and change nothing of what they answer. coded: how many
    batches are coded, which steps then see by turns: from the first round on without what coding costs, and held in memory; 0 for each step its own.
    coarsest, finest: the range of qualities that is read, the coarser the more often. one_band, two_bands: the part of the steps that see so few. distil: how much
    the answer of ``builtin:camvid-segment`` on the picture itself counts beside the label. networks: the folder of the ONNX files that
    heads feed, from the data folder. answers: how much it counts what such a network's tail answers, beside the tensors that it is given;
    answers_from: the part of the steps up to which heads learn a network's tensors alone, and neither its answers nor labels.
    begun_rate_factor: how much slower learns what begins as a part of a trained network. unlabelled: the part of the scenes' batches that
    are photographs, of which only what ``builtin:camvid-segment`` makes of them is learned: so scenes of other light and other places
    are read as it reads them.
    """

    reads: str
    trunk: str = ""
    keep: bool = False
    coded: int = 0
    crop_rows: int = 256
    crop_columns: int = 320
    coarsest: float = 1.0
    finest: float = 60.0
    one_band: float = 0.1
    two_bands: float = 0.25
    distil: float = 1.0
    networks: str = "../models"
    answers: float = 0.0
    answers_from: float = 0.0
    begun_rate_factor: float = 0.3
    unlabelled: float = 0.0

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return f"latent tasks of {self.reads}"


@dataclass(frozen=True, kw_only=True)
class MachineTraining(TrainConfig):
    """A run that trains adapters which turn weights of ``frequency`` to machines, on crops of photographs, ``crop`` pixels square.

    adapts: the name of the weights, which do not change. coarsest, finest: the range of qualities that is learned for. picture: how much
    of the loss of a codec for people its distortion keeps, beside what machines lose.
    """

    adapts: str
    crop: int = 256
    coarsest: float = 1.0
    finest: float = 60.0
    picture: float = 0.1
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return "frequency"


@dataclass(frozen=True, kw_only=True)
class JointTraining(LatentTraining):
    """A run that trains weights of ``frequency`` and the networks that read their latents together: a batch of ``photos`` crops of
    photographs, ``crop`` pixels square, then one of a task's pictures, by turns.

    reads: the weights that the codec starts from. heads: those that the networks start from, with commas between them. mu: how much the
    tasks count beside rate and distortion. codec_rate_factor: how much slower than the networks the codec learns, beside the two factors
    of its parts. begun_rate_factor: how much slower trunks learn than heads, and what was solved for. The rest is as in the recipes of both.
    """

    mu: float
    heads: str
    photos: int = 2
    crop: int = 256
    codec_rate_factor: float = 0.1
    prior_rate_factor: float = 1.0
    started_rate_factor: float = 1.0
    loss_balance: float = 0.5
    band_dropout: float = 0.0
    spatial_quality: float = 0.0
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def trains(self) -> str:
        """The name of what is trained."""
        return f"{self.reads} and its latent tasks"

    @property
    def of_codec(self) -> CodecConfig:
        """The part that a recipe of the codec alone would have."""
        return CodecConfig(
            codec="frequency",
            steps=self.steps,
            batch=self.photos,
            seed=self.seed,
            crop=self.crop,
            prior_rate_factor=self.prior_rate_factor,
            started_rate_factor=self.started_rate_factor,
            loss_balance=self.loss_balance,
            band_dropout=self.band_dropout,
            spatial_quality=self.spatial_quality,
            data=self.data,
        )


RECURRENT = ("rnn-2015", "rnn-2017")
"""The codecs of ``RecurrentConfig``."""
AnyConfig = CodecConfig | RecurrentConfig | NetworkConfig | AroundConfig | LatentTraining | MachineTraining


def read_recipe(path: Path) -> AnyConfig:
    """Reads a recipe: of a codec; where it says ``network`` of a task's network, ``reads`` of networks that read latents, with ``mu`` of
    a codec and them together, ``part`` of one around a codec, ``adapts`` of adapters for machines.

    Raises:
        RecipeError: the file is missing, is not TOML, or holds a key or a type that is not known.
    """
    values = read_toml(path, "recipes that come with foveal are in recipes/")
    if "network" in values:
        return build(NetworkConfig, values, str(path))
    if "reads" in values and "mu" not in values:
        return build(LatentTraining, values, str(path))
    values["data"] = build(DataConfig, values.get("data", {}), f"{path} [data]")
    if "mu" in values:
        return build(JointTraining, values, str(path))
    if "adapts" in values:
        return build(MachineTraining, values, str(path))
    if "part" in values:
        return build(AroundConfig, values, str(path))
    if values.get("codec") in RECURRENT:
        return build(RecurrentConfig, values, str(path))
    return build(CodecConfig, values, str(path))
