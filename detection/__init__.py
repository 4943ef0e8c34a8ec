"""Faster R-CNN on `keras_resnet` backbones for Keras 3."""
