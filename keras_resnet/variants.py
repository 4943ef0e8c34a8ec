"""The depths of table 1 of He et al. 2015."""

# name: (blocks per stage, block)
VARIANTS = {
    "ResNet18": ((2, 2, 2, 2), "basic"),
    "ResNet34": ((3, 4, 6, 3), "basic"),
    "ResNet50": ((3, 4, 6, 3), "bottleneck"),
    "ResNet101": ((3, 4, 23, 3), "bottleneck"),
    "ResNet152": ((3, 8, 36, 3), "bottleneck"),
}
