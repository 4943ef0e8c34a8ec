"""The degradation experiment of He et al. 2015, section 4.2: nets of several kinds and depths."""

from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.reproduce import plan, reproduce
from keras_resnet.experiments.settings import Settings

__all__ = ["Run", "Settings", "make_grid", "plan", "reproduce"]
