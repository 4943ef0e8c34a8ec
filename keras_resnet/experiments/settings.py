"""What all runs of an experiment share, and the training configuration of each."""

import dataclasses

from keras_resnet.classification.config import load_classifier_config
from keras_resnet.experiments.remedies import REMEDIES
from keras_resnet.training.initialization import INITIALIZERS

_RECIPE = {"plain": "plain", "residual": "resnet", "highway": "highway"}
_SHIPPED = (20, 32, 44, 56, 110, 1202)
# What changes how fast or where a run goes, but not its result.
_NO_DIFFERENCE = ("tensorboard", "state_every", "steps_per_execution", "jit_compile")
# What `overrides` may not say: it has arguments of its own, or follows from the grid.
_RESERVED = {
    "train.steps": "steps",
    "train.epochs": "steps",
    "train.boundaries": "steps",
    "train.seed": "seeds",
    "train.clip_norm": "clip_norm",
    "train.weight_decay": "weight_decay",
    "train.learning_rate": "learning_rate",
    "train.precision": "precision",
    "data.pipeline.batch_size": "batch",
    "data.pipeline.image_size": "data",
    "data.root": "data",
    "data.format": "data",
    "model.initializer": "init",
    "model.name": "kinds",
    "model.options.stage_blocks": "depths",
    "model.options.shortcut": "shortcuts",
    "run.name": "name",
    "run.project": "project",
    "run.resume": "name",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the nets of an experiment are trained; None is what the recipe says.

    Attributes:
        steps: int, steps of each run. The steps where the rate drops (at 1/2 and 3/4 of the run)
            and the warm-up of the deepest nets scale with it.
        batch: int, images a step; the learning rate scales with it.
        init: `"he_fan_in"`, `"he_fan_out"`, `"xavier"` or a standard deviation.
        clip_norm: float, norm that gradients are clipped to.
        weight_decay: float, L2 added to the gradients.
        learning_rate: float, for batches of 128.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        overrides: tuple of `"key.of.section=value"` for anything else of a `ClassifierConfig`.

    Example:
    >>> Settings(steps=1000, init="xavier").steps
    1000
    """

    steps: int | None = None
    batch: int | None = None
    init: str | float | None = None
    clip_norm: float | None = None
    weight_decay: float | None = None
    learning_rate: float | None = None
    precision: str | None = None
    overrides: tuple = ()

    def __post_init__(self):
        if self.steps is not None and self.steps < 4:
            raise ValueError(
                f"`steps` must be at least 4, for a rate that drops. Received: steps={self.steps}"
            )
        for name in ("batch", "clip_norm", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be above 0. Received: {name}={value}")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise ValueError(
                f"`weight_decay` must be >= 0. Received: weight_decay={self.weight_decay}"
            )
        number = isinstance(self.init, (int, float)) and self.init > 0
        if self.init is not None and not number and self.init not in INITIALIZERS:
            raise ValueError(
                f"`init` must be one of {', '.join(INITIALIZERS)} or a standard deviation > 0. "
                f"Received: init={self.init!r}"
            )
        for override in self.overrides:
            key = override.partition("=")[0].strip()
            if key in _RESERVED:
                raise ValueError(
                    f"{key} is set by the argument `{_RESERVED[key]}`. Received: {override!r}"
                )


def recipe_of(run):
    """Name of the shipped recipe that a run starts from.

    A depth that has none takes the recipe of the deepest one below it.

    Example:
    >>> from keras_resnet.experiments.grid import Run
    >>> recipe_of(Run("residual", 56, "zero_pad", 0)), recipe_of(Run("plain", 8, None, 0))
    ('cifar10_resnet56', 'cifar10_plain20')
    """
    depth = max([d for d in _SHIPPED if d <= run.depth], default=_SHIPPED[0])
    return f"cifar10_{_RECIPE[run.kind]}{depth}"


def config_of(run, settings, images):
    """The training configuration of a run.

    Args:
        run: a `Run`.
        settings: the `Settings` of the experiment; the run's remedy changes them.
        images: list of overrides that say where the images are.

    Returns:
        A `ClassifierConfig`. `run.name` is that of the run.

    Raises:
        ValueError: values that the configuration refuses.
    """
    recipe = load_classifier_config(recipe_of(run), images)
    base_batch = settings.batch or recipe.data.pipeline.batch_size
    steps = settings.steps or recipe.train.steps
    if run.remedy is not None:
        settings = dataclasses.replace(settings, **REMEDIES[run.remedy].changes)
    batch = settings.batch or base_batch
    # As many images, hence epochs, as without the remedy.
    steps = round(steps * base_batch / batch)
    scale = steps / recipe.train.steps
    overrides = [
        *images,
        f"run.name={run.name}",
        f"model.options.stage_blocks={[run.blocks] * 3}",
        f"train.steps={steps}",
        f"train.boundaries={[max(1, round(b * scale)) for b in recipe.train.boundaries]}",
        f"train.seed={run.seed}",
        f"data.pipeline.batch_size={batch}",
    ]
    if recipe.train.warmup_length:
        overrides.append(f"train.warmup_length={max(1, round(recipe.train.warmup_length * scale))}")
    if run.shortcut is not None:
        overrides.append(f"model.options.shortcut={run.shortcut}")
    for key, value in (
        ("model.initializer", settings.init),
        ("train.clip_norm", settings.clip_norm),
        ("train.weight_decay", settings.weight_decay),
        ("train.learning_rate", settings.learning_rate),
        ("train.precision", settings.precision),
    ):
        if value is not None:
            overrides.append(f"{key}={value}")
    overrides += settings.overrides
    config = load_classifier_config(recipe_of(run), overrides)
    if run.kind != "residual" and config.model.options.get("zero_init_residual"):
        # Nothing is added to these branches, so only the residual nets' may start at zero.
        overrides.append("model.options.zero_init_residual=false")
        config = load_classifier_config(recipe_of(run), overrides)
    return config


def common_part(config):
    """What all runs of an experiment have in common, as a dict for comparison.

    Args:
        config: the `ClassifierConfig` of any run without remedy.

    Returns:
        Dict that JSON can hold, without what differs from run to run.
    """
    values = config.model_dump(mode="json", exclude={"run": True, "published": True})
    for name in ("seed", "warmup", "warmup_length", "warmup_factor", *_NO_DIFFERENCE):
        del values["train"][name]
    for name in ("format", "root", "name", "download"):
        del values["data"][name]
    options = values["model"].pop("options")
    del values["model"]["name"]
    options = {k: v for k, v in options.items() if k not in ("shortcut", "stage_blocks")}
    return {**values, "options": options}
