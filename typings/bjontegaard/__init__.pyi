from collections.abc import Sequence

def bd_rate(
    rate_anchor: Sequence[float],
    dist_anchor: Sequence[float],
    rate_test: Sequence[float],
    dist_test: Sequence[float],
    method: str,
    require_matching_points: bool = True,
    *,
    min_overlap: float = 0.75,
) -> float: ...
def bd_psnr(
    rate_anchor: Sequence[float],
    dist_anchor: Sequence[float],
    rate_test: Sequence[float],
    dist_test: Sequence[float],
    method: str,
    require_matching_points: bool = True,
    *,
    min_overlap: float = 0.75,
) -> float: ...
