"""Frozen sublayers stay frozen when a layer or network is saved and rebuilt."""


def sublayers(layer, prefix=""):
    """Yield (path of names, layer) for every layer inside `layer`, parents first."""
    for child in layer._layers:
        yield f"{prefix}{child.name}", child
        yield from sublayers(child, f"{prefix}{child.name}/")


def frozen_paths(layer):
    """Return the paths of the sublayers that are not trainable."""
    return [path for path, child in sublayers(layer) if not child.trainable]


def freeze_paths(layer, paths):
    """Freeze the sublayers of these paths."""
    for path, child in sublayers(layer):
        if path in paths:
            child.trainable = False


class FrozenParts:
    """Mixed into a layer of layers: its config says which of them are frozen.

    Keras saves `trainable` of the outermost layers of a model only, and sublayers that are made
    after it was set do not follow it. Where a reloaded norm trains again, the moving statistics
    change, and a saved optimizer no longer fits.

    The layer's `build` ends with `self.freeze_parts()`.
    """

    _frozen_parts = ()

    def freeze_parts(self):
        """Freeze, once all sublayers are built, what was frozen."""
        if not self.trainable:
            self.trainable = False
        freeze_paths(self, self._frozen_parts)

    def get_config(self):
        config = super().get_config()
        # Before it is built, the layer knows its frozen parts by name only.
        frozen = frozen_paths(self) if self.built else list(self._frozen_parts)
        return {**config, "frozen": frozen} if frozen else config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        frozen = tuple(config.pop("frozen", ()))
        layer = super().from_config(config)
        layer._frozen_parts = frozen
        return layer
