"""What the pages of runs share: `report.html`, one file that needs nothing else."""
