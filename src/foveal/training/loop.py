"""The training loop: one plain loop on one device, with a time budget, that can stop and go on."""

from __future__ import annotations

import copy
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foveal.errors import RecipeError
from foveal.training import checkpoint
from foveal.training.checkpoint import Progress
from foveal.training.config import TrainConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.losses import rate_distortion
from foveal.training.models import build_model

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
    torch.manual_seed(config.seed)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _train(config, data, run, minutes, torch.device(device), initial, log)
    finally:
        torch.set_num_threads(before)


def _train(
    config: TrainConfig,
    data: Path,
    run: Path,
    minutes: float,
    device: torch.device,
    initial: dict[str, Tensor] | None,
    log: Callable[[str], None],
) -> Progress:
    start = time.monotonic()
    photos, held_out = load_photos(data, config.data, least_side=config.crop)
    model = build_model(config.codec, config.model)
    if initial is not None:
        load_initial(model, initial)
    model.to(device)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    average = copy.deepcopy(model)
    average.requires_grad_(False).eval()
    optimizer = make_optimizer(model, config)
    done = checkpoint.resume(run, model, average, optimizer)
    crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=config.seed + done.step)
    log(f"{len(photos)} photographs, {len(held_out)} held out; {device}; from step {done.step} of {config.steps}")

    step, spent = done.step, done.minutes
    looped = last_log = last_save = last_measure = time.monotonic()
    since, total = 0, 0.0

    def progress() -> Progress:
        return Progress(step, spent + (time.monotonic() - looped) / 60, f"{platform.machine()}, {device.type}")

    while step < config.steps and time.monotonic() - start < minutes * 60:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step) * group["factor"]
        total += train_step(model, average, optimizer, crops.next(), config, device, step)
        step, since = step + 1, since + 1
        now = time.monotonic()
        if now - last_log > _LOG_S:
            log(
                f"step {step}  loss {total / since:.4f}  {since / (now - last_log):.2f} steps/s  rate {learning_rate(config, step):.2e}"
            )
            last_log, since, total = now, 0, 0.0
        if now - last_save > _SAVE_S:
            checkpoint.save(run, model, average, optimizer, progress())
            last_save = now
        if now - last_measure > _MEASURE_S:
            log(f"step {step}  held out: {measure(average, held_out, device)}")
            last_measure = time.monotonic()
    reached = progress()
    checkpoint.save(run, model, average, optimizer, reached)
    log(f"step {step}  held out: {measure(average, held_out, device)}")
    return reached


def train_step(
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Adam,
    batch: Pixels,
    config: TrainConfig,
    device: torch.device,
    step: int,
) -> float:
    """One step of the optimizer and of the averaged weights on ``(batch, crop, crop, 3)`` uint8; returns the loss."""
    x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255
    n = len(batch)
    # One quality from each n-th of the range, so that every batch sees the whole of it.
    quality = 1 + 99 * (torch.arange(n, device=device) + torch.rand(n, device=device)) / n
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        bits, reconstruction = model(x, quality)
    result = rate_distortion(x, reconstruction, bits.float(), quality, model.config, config.loss_balance)  # type: ignore[arg-type]
    optimizer.zero_grad(set_to_none=True)
    result.loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    decay = min(config.ema_decay, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)  # type: ignore[attr-defined]
    return float(result.loss.detach())


def load_initial(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Starts from weights; frozen tables that shipped weights hold beside the network's own tensors are left out.

    Raises:
        RecipeError: they do not fit the recipe's sizes.
    """
    try:
        model.load_state_dict({name: t.float() for name, t in weights.items() if not name.startswith("tables.")})
    except RuntimeError as error:
        raise RecipeError(f"the initial weights do not fit the recipe: {str(error).splitlines()[-1].strip()}") from error


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    """Adam; densities move ``prior_rate_factor`` times faster than the transforms, which else wait for them."""
    slow = [p for name, p in model.named_parameters() if not name.startswith("prior.")]
    fast = [p for name, p in model.named_parameters() if name.startswith("prior.")]
    return torch.optim.Adam([{"params": slow, "factor": 1.0}, {"params": fast, "factor": config.prior_rate_factor}])


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
            bits, reconstruction = model(x, torch.full((1,), quality, device=device))
            bpp.append(float(bits) / (height * width))
            psnr_db.append(-10 * math.log10(float((x - reconstruction.clamp(0, 1)).square().mean())))
        parts.append(f"q{quality:.0f} {np.mean(bpp):.3f} bpp {np.mean(psnr_db):.2f} dB")
    return ", ".join(parts)
