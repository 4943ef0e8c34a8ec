"""The page that shows a run: `report.html`, one file that needs nothing else."""

from detection.report.page import write_report

__all__ = ["write_report"]
