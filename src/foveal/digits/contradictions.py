"""Where measurements contradict the theory, in sentences."""

from __future__ import annotations

from typing import Final

from foveal.digits.claims import Claims, Exchange, Interval, Step

_SURE: Final = 0.975
_SHOWN: Final = 6


def contradictions(claims: Claims) -> list[str]:
    """A sentence for each kind of contradiction that is surely there: its interval does not hold 0, or 97.5 % of draws have it."""
    return [*_steps(claims), *_beaten(claims), *_trades(claims), *_above(claims), *_transfer(claims)]


def _steps(claims: Claims) -> list[str]:
    against: tuple[tuple[str, str, int, str], ...] = (
        ("rate_bits", "The rate falls", -1, "bits"),
        ("mse", "MSE rises", 1, "of MSE"),
        ("error", "The frozen classifier errs more", 1, "points"),
    )
    found: list[str] = []
    for name, words, sign, unit in against:
        wrong = [step for step in claims.steps if getattr(step, name).sign == sign]
        if wrong:
            shown = "; ".join(_step(step, getattr(step, name), unit) for step in wrong[:_SHOWN])
            found.append(f"{words} where λd rises, in {len(wrong)} of {len(claims.steps)} steps: {shown}{_more(wrong)}.")
    return found


def _step(step: Step, change: Interval, unit: str) -> str:
    return f"λc = {step.classification_weight:g}, λd {step.coarse:g} to {step.fine:g}: {_shown(change, '+.2f')} {unit}"


def _beaten(claims: Claims) -> list[str]:
    beaten, runs = claims.beaten_runs
    found: list[str] = []
    sure = {one.point: one for one in reversed(claims.beaten) if one.share >= _SURE}
    if sure:
        shown = "; ".join(
            f"(λd, λc) = ({one.point[0]:g}, {one.point[1]:g}) by ({one.by[0]:g}, {one.by[1]:g}), "
            f"by {one.rate_bits:.1f} bits, {one.mse:.0f} of MSE and {one.error:.2f} points"
            for one in list(sure.values())[:_SHOWN]
        )
        found.append(
            f"Not monotone: another point has a lower rate, less distortion and fewer errors in 97.5 % of draws or more, for {len(sure)} point{'s' * (len(sure) > 1)}: "
            f"{shown}{_more(list(sure))}."
        )
    if beaten:
        found.append(
            f"Of {runs} single runs, {beaten} are beaten in all three by some other run, of another seed or of other weights."
        )
    return found


def _trades(claims: Claims) -> list[str]:
    found: list[str] = []
    for name, words, unit in (
        ("mse", "more distortion", "of MSE"),
        ("frozen", "fewer errors of the frozen classifier", "points"),
    ):
        wanted = 1 if name == "mse" else -1
        missing = [one for one in claims.exchanges if getattr(one, name).sign != wanted]
        if missing:
            shown = "; ".join(_exchange(one, getattr(one, name), unit) for one in missing[:_SHOWN])
            found.append(
                f"At equal rate, {words} with λc is not sure in {len(missing)} of {len(claims.exchanges)} places: {shown}{_more(missing)}."
            )
    return found


def _exchange(one: Exchange, change: Interval, unit: str) -> str:
    return f"{one.rate_bits:.1f} bits, λc = {one.classification_weight:g}: {_shown(change, '+.2f')} {unit}"


def _above(claims: Claims) -> list[str]:
    above = claims.of_means
    if claims.mean_gap.low <= 0.5:
        return []
    return [
        f"The trained points are not convex: means over seeds lie {_shown(claims.mean_gap, '.2f')} bits above their own envelope, up to "
        f"{above.greatest:.1f}; single runs {claims.of_runs.mean:.2f}, up to {claims.of_runs.greatest:.1f}."
    ]


def _transfer(claims: Claims) -> list[str]:
    told = [one for one in claims.exchanges if one.kept is not None]
    less = [one for one in told if one.kept is not None and one.kept.high < 1]
    if not less:
        return []
    least = min(less, key=lambda one: one.kept.value if one.kept else 1.0)
    worse = [one for one in told if one.held_out.sign > 0]
    assert least.kept is not None
    text = (
        f"The held-out classifier surely gains less than the frozen one in {len(less)} of {len(told)} places where the frozen one gains; "
        f"least at {least.rate_bits:.1f} bits, λc = {least.classification_weight:g}: {_shown(least.kept, '.2f')} of it"
    )
    if worse:
        shown = "; ".join(_exchange(one, one.held_out, "points") for one in worse[:_SHOWN])
        text += f". It even errs more than without a classifier in the loss in {len(worse)}: {shown}{_more(worse)}"
    return [text + "."]


def _shown(one: Interval, form: str) -> str:
    return f"{one.value:{form}} [{one.low:{form}}, {one.high:{form}}]"


def _more(found: list[object] | list[Step] | list[Exchange] | list[tuple[float, float]]) -> str:
    return f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
