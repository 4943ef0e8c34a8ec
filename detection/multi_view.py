"""Detection on several views of an image at once."""

import keras
from keras import ops

from detection.box_refinement import refine_boxes
from detection.roi_heads import RoIHeads, region_vectors
from detection.scale_maxout import maxout_over_scales
from detection.view_boxes import mirror_boxes, rescale_boxes
from detection.views import TestTimeAugmentation
from keras_resnet.training.devices import choose_jit


class MultiViewDetector(keras.Model):
    """A detector that is given several views of every image.

    It has the weights of the model it is made of, and no others. `multi_view` makes one;
    `FasterRCNN.detect` prepares its input.

    Args:
        model: a `FasterRCNN`.
        augmentation: a `TestTimeAugmentation`.

    Input `x`: dict of `views`, a list with what a `FasterRCNN` takes for each of
    `augmentation.views(model.preprocessing)`, mirrored where it says so, and `image_sizes` int32
    `[B, 2]`, (height, width) of the images as the model itself resizes them.

    Output: as of a `FasterRCNN`, in pixels of images of these sizes.

    Raises:
        ValueError: if the model has a second stage whose features cannot be merged.
    """

    def __init__(self, model, augmentation, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if augmentation.merge == "features" and not isinstance(model.roi_heads, RoIHeads):
            raise ValueError(
                "Only the features of plain `RoIHeads` can be merged; use merge='boxes'. "
                f"Received: merge='features', roi_heads={type(model.roi_heads).__name__}"
            )
        self.model = model
        self.augmentation = augmentation
        self.views = tuple(augmentation.views(model.preprocessing))
        self.built = True
        self.jit_compile = choose_jit("auto")

    def call(self, x, training=False):
        merge = self._by_features if self.augmentation.merge == "features" else self._by_boxes
        boxes, scores, valid = merge(x["views"], x["image_sizes"])
        return self.model.roi_heads.selection(boxes, scores, valid, x["image_sizes"])

    def _by_boxes(self, inputs, image_sizes):
        """The candidates of all views, one after the other."""
        parts = []
        for view, image in zip(self.views, inputs):
            boxes, scores, valid = self.model.candidates(image)
            if view.flip:
                boxes = mirror_boxes(boxes, image["image_sizes"])
            boxes = rescale_boxes(boxes, image["image_sizes"], image_sizes)
            parts.append((boxes, scores, valid))
        return tuple(ops.concatenate(columns, axis=1) for columns in zip(*parts))

    def _by_features(self, inputs, image_sizes):
        """Candidates from the features of two scales, for proposals from one."""
        model, heads = self.model, self.model.roi_heads
        maps = [model.feature_maps(image) for image in inputs]
        own = self._own_view()
        first = model.first_stage(inputs[own], features=maps[own])
        _, proposals, valid, _ = model.proposals(first, image_sizes)
        rows = [
            [(maps[i][: len(heads.strides)], inputs[i]["image_sizes"]) for i in indices]
            for indices in self._views_by_flip()
        ]

        def predict(regions):
            sides = [regions] + [mirror_boxes(regions, image_sizes)] * (len(rows) - 1)
            found = [
                self._predict_on(scales, boxes, image_sizes) for scales, boxes in zip(rows, sides)
            ]
            if len(found) == 1:
                return found[0]
            (boxes, scores), (mirrored, mirrored_scores) = found
            mirrored = mirror_boxes(mirrored, image_sizes)
            return 0.5 * (boxes + mirrored), 0.5 * (scores + mirrored_scores)

        return refine_boxes(predict, proposals, valid, image_sizes, heads.refinements)

    def _predict_on(self, scales, boxes, image_sizes):
        """Boxes and scores by one image pyramid, a list of (maps, sizes of its images)."""
        heads = self.model.roi_heads

        def vectors(regions):
            return maxout_over_scales(
                heads.pooler,
                lambda pooled: region_vectors(pooled, heads.box_head),
                [maps for maps, _ in scales],
                [rescale_boxes(regions, image_sizes, sizes) for _, sizes in scales],
                heads.pooler.canonical_size,
            )

        logits, deltas = heads.predict(vectors, boxes, image_sizes)
        return heads.predictor.boxes(deltas, boxes), heads.predictor.scores(logits)

    def _own_view(self):
        own = self.model.preprocessing.get("min_side")
        return next(i for i, view in enumerate(self.views) if view.min_side == own)

    def _views_by_flip(self):
        flips = (False, True) if self.augmentation.flip else (False,)
        return [[i for i, view in enumerate(self.views) if view.flip == flip] for flip in flips]


class _Made:
    """What `multi_view` made before; neither a layer nor a dict, so that Keras saves nothing."""

    def __init__(self):
        self.detectors = {}


def multi_view(model, augmentation):
    """The `MultiViewDetector` of a model; the same one when asked again, as it is compiled.

    Args:
        model: a `FasterRCNN`.
        augmentation: a `TestTimeAugmentation`.
    """
    if not isinstance(getattr(model, "_multi_views", None), _Made):
        model._multi_views = _Made()
    made = model._multi_views.detectors
    # Whoever changes how the model resizes gets other views.
    key = augmentation, tuple(augmentation.views(model.preprocessing))
    if key not in made:
        made[key] = MultiViewDetector(model, augmentation)
    return made[key]


def augmentation_of(model, augment=None):
    """The test-time augmentation that holds: the one given, or that of the model's configuration.

    Args:
        model: a `FasterRCNN`.
        augment: a `TestTimeAugmentation`, None for `model.test_time` of the configuration that
            the model was built from, or False for none.

    Returns:
        A `TestTimeAugmentation`, or None.

    Raises:
        ValueError: for anything else.
    """
    if augment is None:
        options = (model.architecture or {}).get("test_time")
        return None if options is None else TestTimeAugmentation(**options)
    if augment is False or isinstance(augment, TestTimeAugmentation):
        return augment or None
    raise ValueError(
        "`augment` must be a `detection.TestTimeAugmentation`, None or False. "
        f"Received: augment={augment!r}"
    )
