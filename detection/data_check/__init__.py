"""A look at the data before training: counts, anchors, suspicious boxes, and advice."""

from detection.data_check.check import DataCheck, Problem, check_data
from detection.data_check.write import write_report

__all__ = ["DataCheck", "Problem", "check_data", "write_report"]
