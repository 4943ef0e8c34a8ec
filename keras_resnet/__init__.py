"""Residual networks of He et al. 2015 for Keras 3."""
