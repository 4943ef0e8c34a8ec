"""The statistics that images are normalised with."""

# ImageNet's, of the RGB channels in 0..255, as torchvision's weights expect.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
