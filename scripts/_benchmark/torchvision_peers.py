"""torchvision's classifiers and detectors, in channels-last order, by torch's own means."""

import contextlib

from _benchmark.harness import Unavailable


def train_classifier(dtype, batch=16, size=224, compiled=False, quick=False):
    """A training step of ResNet-50, all layers, SGD with momentum."""
    torch, torchvision, device = _torch()
    if quick:
        batch, size = 2, 64
    model = torchvision.models.resnet50().to(device, memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    y = torch.randint(0, 1000, (batch,), device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with _autocast(torch, device, dtype):
            loss = torch.nn.functional.cross_entropy(run(x).float(), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, {"images": batch}


def infer_classifier(dtype, batch=16, size=224, compiled=False, quick=False):
    """A forward pass of ResNet-50."""
    torch, torchvision, device = _torch()
    size = 64 if quick else size
    model = torchvision.models.resnet50().eval().to(device, memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    x = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)

    def step():
        with torch.inference_mode(), _autocast(torch, device, dtype):
            return run(x).float().cpu()

    return step, {"images": batch}


def train_detector(dtype, batch=2, height=512, width=512, compiled=False, quick=False):
    """A training step of Faster R-CNN R50-FPN, all layers, SGD with momentum."""
    torch, _, device = _torch()
    if quick:
        height, width = 96, 128
    model, run = _detector(height, width, compiled, device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-5, momentum=0.9)
    images = [torch.rand(3, height, width, device=device) for _ in range(batch)]
    from _benchmark.detection_data import ground_truth

    boxes, classes = ground_truth(height, width)
    targets = [
        {
            "boxes": torch.tensor(boxes, device=device),
            "labels": torch.tensor(classes + 1, device=device, dtype=torch.int64),
        }
        for _ in range(batch)
    ]

    def step():
        optimizer.zero_grad(set_to_none=True)
        with _autocast(torch, device, dtype):
            loss = sum(run(images, targets).values())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, {"images": batch}


def infer_detector(dtype, batch=1, height=800, width=1344, compiled=False, quick=False):
    """Detection by Faster R-CNN R50-FPN."""
    torch, _, device = _torch()
    if quick:
        height, width = 96, 128
    model, run = _detector(height, width, compiled, device)
    model.eval()
    images = [torch.rand(3, height, width, device=device) for _ in range(batch)]

    def step():
        with torch.inference_mode(), _autocast(torch, device, dtype):
            return [found["boxes"].float().cpu() for found in run(images)]

    return step, {"images": batch}


def _detector(height, width, compiled, device):
    import torch
    import torchvision

    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        min_size=min(height, width),
        max_size=max(height, width),
    ).to(device, memory_format=torch.channels_last)
    return model, torch.compile(model) if compiled else model


def _torch():
    try:
        import torch
        import torchvision
    except ImportError as error:
        raise Unavailable(f"torchvision cannot be imported: {error}") from None
    return torch, torchvision, "cuda" if torch.cuda.is_available() else "cpu"


def _autocast(torch, device, dtype):
    if dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device, torch.bfloat16)
