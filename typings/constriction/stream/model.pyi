import numpy as np
import numpy.typing as npt

class Model: ...

class Categorical(Model):
    def __init__(self, probabilities: npt.NDArray[np.float64], *, perfect: bool) -> None: ...

class Uniform(Model):
    def __init__(self, size: int) -> None: ...
