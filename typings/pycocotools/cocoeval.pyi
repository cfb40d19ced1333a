from typing import Any

class Params:
    imgIds: list[int]
    catIds: list[int]
    maxDets: list[int]
    areaRng: list[list[float]]
    areaRngLbl: list[str]

class COCOeval:
    params: Params
    evalImgs: list[dict[str, Any] | None]
    eval: dict[str, Any]
    ious: dict[tuple[int, int], Any]
    _gts: dict[tuple[int, int], list[dict[str, Any]]]
    _dts: dict[tuple[int, int], list[dict[str, Any]]]
    _paramsEval: Params
    def __init__(self, cocoGt: Any = None, cocoDt: Any = None, iouType: str = "segm") -> None: ...
    def computeIoU(self, imgId: int, catId: int) -> Any: ...
    def evaluateImg(self, imgId: int, catId: int, aRng: list[float], maxDet: int) -> dict[str, Any] | None: ...
    def accumulate(self) -> None: ...
