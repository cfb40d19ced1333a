"""The training loop: one plain loop on one device, with a time budget, that can stop and go on."""

from __future__ import annotations

import copy
import math
import os
import platform
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.errors import RecipeError
from foveal.training import checkpoint
from foveal.training.checkpoint import Progress
from foveal.training.config import TrainConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.losses import rate_distortion
from foveal.training.models import TrainableCodec, build_model, trainable
from foveal.training.parallel import Workers, workers

_LOG_S, _SAVE_S, _MEASURE_S = 60.0, 240.0, 600.0
_MEASURE_AT = (10.0, 40.0, 70.0, 95.0)


def train(
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    minutes: float,
    device: str = "auto",
    threads: int | None = None,
    initial: dict[str, Tensor] | None = None,
    log: Callable[[str], None] = print,
) -> Progress:
    """Trains until the recipe's steps or the minutes are used up, going on from what ``run`` holds.

    ``initial``: weights to start a fresh run from (else random). The network with averaged weights is
    left in ``run/average.safetensors``. Returns how far the run is now.

    Raises:
        RecipeError: the recipe or the data folder does not serve.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with workers(device) as team:
            torch.manual_seed(config.seed)
            return _train(config, data, run, minutes, torch.device(device), initial, log if team.leads else _silent, team)
    finally:
        torch.set_num_threads(before)


def _silent(_: str) -> None:
    """What the processes that do not lead have to say."""


def _train(
    config: TrainConfig,
    data: Path,
    run: Path,
    minutes: float,
    device: torch.device,
    initial: dict[str, Tensor] | None,
    log: Callable[[str], None],
    team: Workers,
) -> Progress:
    start = time.monotonic()
    photos, held_out = load_photos(data, config.data, least_side=config.crop)
    model = build_model(config.codec, config.model)
    if initial is not None:
        load_initial(model, config.codec, initial)
    model.to(device)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    average = copy.deepcopy(model)
    average.requires_grad_(False).eval()
    optimizer = make_optimizer(model, config)
    done = checkpoint.resume(run, model, average, optimizer)
    seed = config.seed + done.step + 1_000_003 * team.rank
    torch.manual_seed(seed)
    crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
    shared = team.share(model, device)
    log(f"{len(photos)} photographs, {len(held_out)} held out; {team.count} x {device}; from step {done.step} of {config.steps}")

    step, spent = done.step, done.minutes
    looped = last_log = last_save = last_measure = time.monotonic()
    logged, since, total = step, 0, 0.0

    def progress() -> Progress:
        return Progress(step, spent + (time.monotonic() - looped) / 60, f"{platform.machine()}, {device.type}")

    while step < config.steps and team.agree(time.monotonic() - start < minutes * 60):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step) * group["factor"]
        loss = train_step(shared, model, average, optimizer, crops.next(), config, step)
        step += 1
        if loss is not None:
            since, total = since + 1, total + loss
        now = time.monotonic()
        if now - last_log > _LOG_S:
            log(
                f"step {step}  loss {total / max(1, since):.4f}  {(step - logged) / (now - last_log):.2f} steps/s  rate {learning_rate(config, step):.2e}"
            )
            last_log, logged, since, total = now, step, 0, 0.0
        if team.leads and now - last_save > _SAVE_S:
            checkpoint.save(run, model, average, optimizer, progress())
            last_save = now
        if team.leads and now - last_measure > _MEASURE_S:
            log(f"step {step}  held out: {measure(average, held_out, device)}")
            last_measure = time.monotonic()
    reached = progress()
    if team.leads:
        checkpoint.save(run, model, average, optimizer, reached)
        log(f"step {step}  held out: {measure(average, held_out, device)}")
    return reached


def train_step(
    shared: nn.Module,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Adam,
    batch: Pixels,
    config: TrainConfig,
    step: int,
) -> float | None:
    """One step of the optimizer and of the averaged weights on ``(batch, crop, crop, 3)`` uint8.

    ``shared``: the model, or what averages its gradients over several processes.
    Returns the loss, or None for a step on a prefix of the bands, whose loss compares with no other.
    """
    device = next(model.parameters()).device
    x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255
    quality = draw_qualities(model, x, config).to(device)  # type: ignore[arg-type]
    bands: int = model.bands  # type: ignore[assignment]
    chance = random.Random(config.seed << 32 | step)  # the same in all processes
    if bands > 1 and chance.random() < config.band_dropout:
        bands = chance.randint(1, bands - 1)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        bits, reconstruction = shared(x, quality, bands)
    result = rate_distortion(x, reconstruction, bits.float(), quality, model.config, config)  # type: ignore[arg-type]
    optimizer.zero_grad(set_to_none=True)
    result.loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    decay = min(config.ema_decay, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)  # type: ignore[attr-defined]
    return float(result.loss.detach()) if bands == model.bands else None


def draw_qualities(model: TrainableCodec, x: Tensor, config: TrainConfig) -> Tensor:
    """One quality from each n-th of the range for n pictures, so that every batch sees the whole of it.

    Some pictures have smooth changes of quality inside them, if the model takes such: then ``(batch, 1, rows, columns)``.
    """
    n = len(x)
    quality = 1 + 99 * (torch.arange(n) + torch.rand(n)) / n
    if not model.quality_cell or not config.spatial_quality:
        return quality
    rows, columns = (side // model.quality_cell for side in x.shape[2:])
    change = functional.interpolate(torch.randn(n, 1, 4, 4), (rows, columns), mode="bilinear")
    change = change * (30 * (torch.rand(n) < config.spatial_quality))[:, None, None, None]
    return (quality[:, None, None, None] + change).clamp(1, 100)


def load_initial(model: nn.Module, codec: str, weights: dict[str, Tensor]) -> None:
    """Starts from weights that ship, or from those of a run.

    Raises:
        RecipeError: they do not fit the recipe's sizes.
    """
    try:
        shipped = any(name.startswith("tables.") for name in weights)
        model.load_state_dict(trainable(codec).thaw(weights) if shipped else weights)
    except (KeyError, RuntimeError) as error:
        raise RecipeError(f"the initial weights do not fit the recipe: {str(error).splitlines()[-1].strip()}") from error


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    """Adam, with rates by kind: entropy models may move fast, transforms that start good must not (their noise is error)."""
    started = re.compile(getattr(model, "started", "(?!)"))
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = config.prior_rate_factor if name.startswith("prior.") else 1.0
        groups.setdefault(config.started_rate_factor if started.match(name) else factor, []).append(parameter)
    return torch.optim.Adam([{"params": parameters, "factor": factor} for factor, parameters in groups.items()])


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rises over the warm-up, stays, and falls along a cosine after ``decay_from`` of the steps."""
    rising = min(1.0, (step + 1) / max(1, config.warmup_steps))
    late = max(0.0, step / config.steps - config.decay_from) / max(1e-9, 1 - config.decay_from)
    return config.learning_rate * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, late))))


@torch.no_grad()
def measure(model: nn.Module, photos: list[Pixels], device: torch.device) -> str:
    """Estimated bpp and PSNR in dB of the held-out photographs at a few qualities, as a line for the log."""
    parts: list[str] = []
    for quality in _MEASURE_AT:
        bpp: list[float] = []
        psnr_db: list[float] = []
        for photo in photos:
            height, width = (s // 64 * 64 for s in photo.shape[:2])
            x = torch.from_numpy(photo[:height, :width].copy()).to(device).permute(2, 0, 1)[None].float() / 255
            bits, reconstruction = model(x, torch.full((1,), quality, device=device), model.bands)  # type: ignore[arg-type]
            bpp.append(float(bits) / (height * width))
            psnr_db.append(-10 * math.log10(float((x - reconstruction.clamp(0, 1)).square().mean())))
        parts.append(f"q{quality:.0f} {np.mean(bpp):.3f} bpp {np.mean(psnr_db):.2f} dB")
    return ", ".join(parts)
