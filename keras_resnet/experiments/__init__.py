"""The degradation experiment of He et al. 2015, section 4.2: nets of several kinds and depths.

`grid.make_grid` lists the runs, `runner.reproduce` trains them and writes tables and figures.
"""
