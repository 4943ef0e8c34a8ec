"""Data for classification: readers, order and augmentation of images with one label each."""
