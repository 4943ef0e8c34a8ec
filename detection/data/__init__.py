"""Data sets with boxes: readers, checks, augmentation and the input pipelines."""

from detection.data.checks import verify_images
from detection.data.coco import load_coco
from detection.data.coco_writer import coco_content, extract_images
from detection.data.config import DataPipelineConfig
from detection.data.csv_boxes import load_csv
from detection.data.dataset import Category, DetectionDataset, Record
from detection.data.join import join_datasets
from detection.data.plan import BatchPlan
from detection.data.problems import DataError, Problems
from detection.data.shapes import load_shapes, make_shapes
from detection.data.sources import load_dataset, make_batches, numpy_batches
from detection.data.split import split_dataset
from detection.data.tfds import load_tfds
from detection.data.transforms import prepare_image
from detection.data.voc import load_voc
from detection.data.yolo import load_yolo

__all__ = [
    "BatchPlan",
    "Category",
    "DataError",
    "DataPipelineConfig",
    "DetectionDataset",
    "Problems",
    "Record",
    "coco_content",
    "extract_images",
    "join_datasets",
    "load_coco",
    "load_csv",
    "load_dataset",
    "load_shapes",
    "load_tfds",
    "load_voc",
    "load_yolo",
    "make_batches",
    "make_shapes",
    "numpy_batches",
    "prepare_image",
    "split_dataset",
    "verify_images",
]
