"""Data sets with boxes: readers, checks, augmentation and the input pipelines."""

from detection.data.checks import verify_images
from detection.data.coco import load_coco
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.problems import DataError, Problems
from detection.data.shapes import load_shapes, make_shapes
from detection.data.voc import load_voc
