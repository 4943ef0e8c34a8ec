"""What the discussion of the paper asks of a network: responses, gradients, costs, lesions."""

from keras_resnet.analysis.cam import GradCam, grad_cam
from keras_resnet.analysis.counting import Counts, LayerCount, count
from keras_resnet.analysis.gradients import GradientNorms, gradient_norms
from keras_resnet.analysis.lesions import Lesions, lesion
from keras_resnet.analysis.pruning import Pruning, prune_blocks
from keras_resnet.analysis.responses import LayerResponses, draw_responses, layer_responses

__all__ = [
    "Counts",
    "GradCam",
    "GradientNorms",
    "LayerCount",
    "LayerResponses",
    "Lesions",
    "Pruning",
    "count",
    "draw_responses",
    "grad_cam",
    "gradient_norms",
    "layer_responses",
    "lesion",
    "prune_blocks",
]
