"""The published networks as rows of a table."""

_DEPTHS = {
    18: ((2, 2, 2, 2), "basic"),
    34: ((3, 4, 6, 3), "basic"),
    50: ((3, 4, 6, 3), "bottleneck"),
    101: ((3, 4, 23, 3), "bottleneck"),
    152: ((3, 8, 36, 3), "bottleneck"),
}
_CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)

# He et al. 2015, table 1. name: (blocks per stage, block)
VARIANTS = {f"ResNet{depth}": row for depth, row in _DEPTHS.items()}

V2 = {
    "stem": "imagenet_v2",
    "shortcut": "max_pool",
    "stride_at": "last",
    "norm": {"kind": "batch", "epsilon": 1.001e-5},
}
D = {"stem": "deep", "shortcut": "avg_pool"}
CIFAR = {"block": "basic", "width": 16, "stem": "3x3"}


def _rows(name, options=None, depths=tuple(_DEPTHS), block=""):
    """Return name: arguments of `ResNet`, a row a depth."""
    return {
        name.format(depth): {
            "stage_blocks": _DEPTHS[depth][0],
            "block": block + _DEPTHS[depth][1],
            **(options or {}),
        }
        for depth in depths
    }


def _cifar_rows(name, shortcut):
    """Return the rows of the networks of 6n + 2 layers of He et al. 2015, section 4.2."""
    return {
        name.format(depth): {
            "stage_blocks": ((depth - 2) // 6,) * 3,
            **CIFAR,
            "shortcut": shortcut,
        }
        for depth in _CIFAR_DEPTHS
    }


# name: what differs from the defaults of `ResNet`
IMAGENET_NETWORKS = {
    **_rows("ResNet{}"),
    **_rows("ResNet{}V2", V2, block="preact_"),
    **_rows("ResNet{}D", D),
    **_rows("SEResNet{}", {"squeeze_excitation": 16}, depths=(50, 101, 152)),
    **_rows("PlainNet{}", {"shortcut": "none"}, depths=(18, 34)),
}
CIFAR_NETWORKS = {
    **_cifar_rows("CifarResNet{}", "zero_pad"),
    **_cifar_rows("CifarPlain{}", "none"),
    **_cifar_rows("CifarHighway{}", "highway"),
}
