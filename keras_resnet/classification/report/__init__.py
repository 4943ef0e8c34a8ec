"""The page and the plots that show what a classifier does: `report.html`, `results.png` …"""

from keras_resnet.classification.report.page import write_report
from keras_resnet.classification.report.plots import write_plots

__all__ = ["write_plots", "write_report"]
