"""What can be wrong with a data set: how serious it is, and what to do about it."""

import dataclasses

from detection.data import Problems

LEVELS = ("error", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Args:
        level: `"error"` (training cannot use it, or must not), `"warning"` (used as it is and
            probably wrong) or `"note"` (right in many data sets, and worth knowing).
        title: String, what there is some number of.
        advice: String, what to do.
    """

    level: str
    title: str
    advice: str


_FIX = "Correct the annotation, or delete it."

KINDS = {
    # What readers skip or repair.
    "zero_area": Kind("error", "boxes of zero width or height, skipped", _FIX),
    "negative_size": Kind(
        "error",
        "boxes of negative width or height, skipped",
        "Look whether corners are swapped, or the box is (x1, y1, x2, y2) where (x, y, width, "
        "height) belongs.",
    ),
    "not_finite": Kind("error", "boxes with NaN or infinite coordinates, skipped", _FIX),
    "outside": Kind(
        "error",
        "boxes completely outside their image, skipped",
        "Look whether the boxes were drawn on an image of another size, or x and y are swapped.",
    ),
    "clipped": Kind(
        "warning",
        "boxes partly outside their image, clipped to it",
        "A pixel or two is harmless. Much more says that the boxes belong to an image of another "
        "size.",
    ),
    "malformed_box": Kind("error", "annotations without a box of four numbers, skipped", _FIX),
    "unknown_category": Kind(
        "error",
        "annotations of a category that is not listed, skipped",
        "Add the category to the list of classes, or correct the annotation.",
    ),
    "unknown_image": Kind(
        "error",
        "annotations of an image that is not listed, skipped",
        "Add the image to the list, or delete the annotations.",
    ),
    "unknown_size": Kind(
        "note", "annotations without the image's size, read from the file", "Nothing to do."
    ),
    "missing_image": Kind(
        "error",
        "images that do not exist, left out",
        "Look at the folder and at the file names in the annotations; upper and lower case count.",
    ),
    "undecodable_image": Kind(
        "error", "images that do not decode, left out", "Copy the files again, or leave them out."
    ),
    "size_mismatch": Kind(
        "error",
        "images of another size than their annotation says, left out",
        "Find out which image the boxes were drawn on: a resized copy, or another file.",
    ),
    "missing_annotation": Kind(
        "error", "images without their annotation file, left out", "Copy the annotation files."
    ),
    "malformed_annotation": Kind(
        "error", "annotation files that cannot be read, left out", "Export the annotations again."
    ),
    "outside_folder": Kind(
        "error",
        "images whose file name leads out of the image folder, left out",
        "Put the images into the folder, or name their real folder as the folder of images.",
    ),
    "malformed_crowd": Kind(
        "warning", "annotations whose 'iscrowd' is neither 0 nor 1, taken as 0", _FIX
    ),
    "no_label_file": Kind(
        "note",
        "images without a label file, taken as images without objects",
        "Right for pictures of the background. Look at the place of the label files if there are "
        "objects on them.",
    ),
    "found_elsewhere": Kind(
        "note",
        "images found under another name than the annotated one",
        "Look at one of them: it should be the image that was annotated.",
    ),
    "not_run": Kind(
        "note",
        "files that say how to download their data, which is never done",
        "Nothing to do if the images are there.",
    ),
    # Boxes that are used as they are.
    "duplicate_box": Kind(
        "warning",
        "boxes that repeat another one of the same class",
        "Delete one of the two: a repeated box counts as an object that is never found.",
    ),
    "two_classes": Kind(
        "warning",
        "boxes at the place of a box of another class",
        "Decide for one class: the detector is told that both are right and both are wrong.",
    ),
    "whole_image": Kind(
        "warning",
        "boxes around the whole image",
        "Right for close-ups. Otherwise draw boxes around the objects: labels of whole images "
        "teach nothing about places.",
    ),
    "tiny_box": Kind(
        "warning",
        "boxes with a side below 4 pixels after resizing",
        "Train on larger images (data.pipeline.min_sides and max_side), or delete slips of the "
        "mouse: nothing that small is found.",
    ),
    "extreme_aspect": Kind(
        "warning",
        "boxes more than ten times as long as wide",
        "Look at some of them. If they are right, anchors of more aspect ratios help "
        "(model.rpn.aspect_ratios).",
    ),
    # Images.
    "same_image_in_splits": Kind(
        "warning",
        "images that are in two splits",
        "Delete them from one: figures on images that were trained on are too good.",
    ),
    "near_copy_in_splits": Kind(
        "note",
        "images that look like one of another split",
        "Look at both. Frames of one film, or copies in another size or encoding, belong into one "
        "split: figures on images like those trained on are too good.",
    ),
    "repeated_image": Kind(
        "warning",
        "images that are twice in a split",
        "Delete the copies, above all where their boxes differ.",
    ),
    "image_without_boxes": Kind(
        "note",
        "images without boxes",
        "Right if they show none of the classes; they teach what is background. If objects are "
        "just not labelled yet, leave the images out.",
    ),
    # Classes and splits.
    "no_boxes": Kind(
        "error",
        "splits without any box",
        "There is nothing to learn from, or to measure with: look at the paths.",
    ),
    "different_classes": Kind(
        "error",
        "splits with other classes than the first",
        "All splits need the same classes in the same order.",
    ),
    "class_only_in_val": Kind(
        "warning",
        "classes with boxes in validation and none in training",
        "Move some of these images to training, or remove the class: it cannot be learned.",
    ),
    "class_without_boxes": Kind(
        "warning",
        "classes without a box in training",
        "Remove the class, or label some: an output for it is trained to say no.",
    ),
    "class_not_in_val": Kind(
        "note",
        "classes with boxes in training and none in validation",
        "There will be no AP for them: move some of these images to validation.",
    ),
    "similar_class_names": Kind(
        "warning",
        "class names that differ in case, blanks or punctuation only",
        "Make them one class, if they are: a slip at labelling.",
    ),
}


def kind_of(name):
    """The `Kind` of a name; what readers note and is not listed here is a warning."""
    return KINDS.get(name) or Kind("warning", Problems.KINDS.get(name, name), _FIX)
