"""The part of a configuration that classifier and detector training share."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from keras_resnet.training.config import StrictModel
from keras_resnet.training.optimizer import build_optimizer
from keras_resnet.training.schedules import WarmupCosine, WarmupStep, scaled_learning_rate

_Share = Annotated[float, Field(ge=0, le=1)]
_NotNegative = Annotated[float, Field(ge=0)]


class EMAConfig(StrictModel):
    """An exponential moving average of the weights, which is what is evaluated and saved."""

    decay: Annotated[float, Field(ge=0, lt=1)]
    every: PositiveInt = Field(1, description="steps between updates")


class RecipeConfig(StrictModel):
    """Optimisation and schedule: what a recipe in a paper names."""

    steps: PositiveInt | None = Field(None, description="optimizer steps in all")
    epochs: PositiveInt | None = Field(None, description="passes over the data, instead of steps")
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: PositiveFloat = 0.1
    reference_batch: PositiveInt = Field(
        256, description="the learning rate is scaled by batch / reference_batch"
    )
    schedule: Literal["step", "cosine", "constant", "plateau"] = "step"
    boundaries: tuple[PositiveInt, ...] = Field(
        (), description="step: where the rate drops", examples=[(60_000, 80_000)]
    )
    gamma: PositiveFloat = Field(0.1, description="step, plateau: factor of each drop")
    patience: PositiveInt = Field(5, description="plateau: epochs without a smaller error")
    early_stopping: PositiveInt | None = Field(
        None, description="epochs without a better figure after which training ends"
    )
    final_factor: _Share = Field(0.0, description="cosine: last rate / first rate")
    warmup: Literal["linear", "constant"] = "linear"
    warmup_length: int = Field(0, ge=0, description="in steps or epochs, see schedule_unit")
    warmup_factor: _Share = 0.001
    schedule_unit: Literal["steps", "epochs"] = Field(
        "steps", description="of boundaries and warmup_length"
    )
    momentum: _Share = 0.9
    nesterov: bool = False
    weight_decay: _NotNegative = 1e-4
    decay: Literal["kernels", "no_norms", "all"] = Field(
        "kernels", description="what the decay acts on; no_norms: kernels and biases"
    )
    clip_norm: PositiveFloat | None = None
    accumulate: PositiveInt = Field(1, description="batches whose gradients make one update")
    ema: EMAConfig | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    devices: PositiveInt | Literal["all"] = Field(
        1, description="of this machine, which share each batch"
    )
    jit_compile: bool | Literal["auto"] = "auto"
    steps_per_execution: PositiveInt = 1
    seed: int = Field(0, ge=0, description="of initialisation, order and augmentation")

    @model_validator(mode="after")
    def _one_length(self):
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`, and null for the other")
        if self.steps is not None and self.steps % self.steps_per_execution:
            raise ValueError("`steps` must be a multiple of `steps_per_execution`")
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self):
        if self.schedule == "step" and not self.boundaries:
            raise ValueError("`schedule: step` needs `boundaries`, where the rate drops")
        unused = []
        if self.schedule != "step":
            unused += ["boundaries"]
        if self.schedule not in ("step", "plateau"):
            unused += ["gamma"]
        if self.schedule != "plateau":
            unused += ["patience"]
        elif self.warmup_length:
            raise ValueError("`schedule: plateau` has no warm-up; leave `warmup_length` out")
        if self.schedule != "cosine":
            unused += ["final_factor"]
        if self.optimizer != "sgd":
            unused += ["momentum", "nesterov"]
        if not self.warmup_length:
            unused += ["warmup", "warmup_factor"]
        fields = type(self).model_fields
        for name in unused:
            if getattr(self, name) != fields[name].default:
                raise ValueError(
                    f"`{name}` has no effect with `schedule: {self.schedule}`, `optimizer: "
                    f"{self.optimizer}` and `warmup_length: {self.warmup_length}`; leave it out"
                )
        return self

    def total_steps(self, steps_per_epoch):
        """Optimizer steps of the run: int."""
        return self.steps or self.epochs * steps_per_epoch


def build_schedule(recipe, batch_size, steps_per_epoch):
    """The learning rate of a recipe over the steps.

    Args:
        recipe: a `RecipeConfig`.
        batch_size: int, images a step on all devices.
        steps_per_epoch: int.

    Returns:
        `WarmupStep` or `WarmupCosine`, for steps counted by batch; a float for `plateau`, where a
        callback lowers the rate.

    Example:
    >>> recipe = RecipeConfig(epochs=90, boundaries=(30, 60, 80), schedule_unit="epochs")
    >>> schedule = build_schedule(recipe, batch_size=512, steps_per_epoch=2500)
    >>> schedule.boundaries, round(float(schedule(0)), 6)
    ([75000, 150000, 200000], 0.2)
    """
    rate = scaled_learning_rate(
        recipe.learning_rate, batch_size * recipe.accumulate, recipe.reference_batch
    )
    if recipe.schedule == "plateau":
        return rate
    steps = recipe.total_steps(steps_per_epoch)
    unit = steps_per_epoch if recipe.schedule_unit == "epochs" else 1
    warmup = {
        # A run cut short for a trial still gets a warm-up that ends.
        "warmup_steps": min(recipe.warmup_length * unit, steps - 1),
        "warmup_factor": recipe.warmup_factor,
        "warmup": recipe.warmup,
    }
    if recipe.schedule == "cosine":
        return WarmupCosine(rate, steps, final_factor=recipe.final_factor, **warmup)
    boundaries = [b * unit for b in recipe.boundaries]
    return WarmupStep(rate, boundaries, recipe.gamma, **warmup)


def build_recipe_optimizer(recipe, batch_size, steps_per_epoch):
    """The optimizer of a recipe, with its schedule.

    Args:
        recipe: a `RecipeConfig`.
        batch_size: int, images a step on all devices.
        steps_per_epoch: int.

    Returns:
        `keras.optimizers.Optimizer`.
    """
    options = {}
    if recipe.optimizer == "sgd":
        options = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    if recipe.accumulate > 1:
        options["gradient_accumulation_steps"] = recipe.accumulate
    return build_optimizer(
        recipe.optimizer,
        build_schedule(recipe, batch_size, steps_per_epoch),
        weight_decay=recipe.weight_decay,
        decay=recipe.decay,
        global_clipnorm=recipe.clip_norm,
        **options,
    )
