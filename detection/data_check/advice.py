"""What to change before training, in words: sizes, anchors, batch, rate, length, balance."""

import dataclasses

from detection.data_check.words import count_of, cut, of_length, percent
from keras_resnet.data.printable import printable
from keras_resnet.training.schedules import scaled_learning_rate

_SMALL_SHARE = 0.2  # Of boxes under 16 pixels, from which larger images are worth their price.
_FEW_BOXES = 20  # Of a class, in training; below, its AP is mostly chance.
_RARE = 50  # Times fewer boxes than the most frequent class.
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Advice:
    """One piece of advice.

    Args:
        about: String, what it is about, e.g. `"anchors"`.
        change: Boolean, whether something should be changed; else it is said why nothing need be.
        text: String, one to three sentences.
        settings: Tuple of strings for `--set` that do it.
    """

    about: str
    change: bool
    text: str
    settings: tuple[str, ...] = ()


def give_advice(statistics, coverage=None, better=None, config=None):
    """Judges a data set together with the configuration it will be trained with.

    Args:
        statistics: Dict from split to what `split_statistics` returned, training first.
        coverage: Optional, what `anchor_coverage` returned for training.
        better: Optional, what `better_anchors` returned.
        config: Optional `detection.config.Config`; without it only the data is judged.

    Returns:
        A list of `Advice`.
    """
    train, *others = statistics.values()
    found = []
    if config is not None and train["boxes"]:
        found.append(_image_size(train, config.data.pipeline))
        found.append(_anchors(coverage, better, config))
        found += _batch(train, config)
        found.append(_learning_rate(config))
        found += _length(train, config)
        found += _start(train, config)
        found += _detections(statistics, config)
    if train["boxes"]:
        found.append(_balance(train))
        found += [advice for other in others for advice in _validation(other)]
    return found


def _image_size(train, pipeline):
    resized, original = train["resized"], train["image_sizes"]["most_common"][0]
    small = resized["box_size_histogram"][0]["count"] / train["boxes"]
    scale, median = resized["scale"]["50%"], resized["box_size"]["50%"]
    text = (
        f"Images, most often {original['width']} x {original['height']}, are resized by "
        f"{scale:.2f} (shorter side {resized['min_side']}, longer at most {resized['max_side']}). "
        f"The median box then is {of_length(median)} pixels, and {percent(small)} of the boxes are "
        "below 16."
    )
    if small > _SMALL_SHARE and pipeline.large_scale_jitter is None:
        factor = min(2.0, 1 / scale) if scale < 0.8 else 2.0
        sides = [_multiple(side * factor, 32) for side in pipeline.min_sides]
        longer = max(_multiple(pipeline.max_side * factor, 32), *sides)
        why = "nothing is gained beyond the files' own size" if scale < 0.8 else (
            "or cut the images into overlapping tiles"
        )  # fmt: skip
        text += (
            f" Small objects are found badly: train on images {factor:.1f} times as large; {why}. "
            f"A step then takes about {factor**2:.1f} times as long."
        )
        settings = [f"data.pipeline.min_sides={sides}", f"data.pipeline.max_side={longer}"]
        if pipeline.eval_min_side is not None:
            side = _multiple(pipeline.eval_min_side * factor, 32)
            settings.append(f"data.pipeline.eval_min_side={side}")
        return Advice("image size", True, text, tuple(settings))
    if resized["box_size"]["5%"] > 128 and min(pipeline.min_sides) >= 480:
        text += " Nearly all are large: images of half the size would do, at four times the speed."
    return Advice("image size", False, text)


def _anchors(coverage, better, config):
    if coverage is None or coverage["mean"] is None:
        return Advice("anchors", False, "No training box to compare the anchors with.")
    text = (
        f"The best anchor overlaps a training box by {coverage['mean']:.2f} on average (IoU); "
        f"{percent(coverage['below_half'])} of the boxes overlap none by half."
    )
    if better is None:
        if coverage["below_half"] > 0.05:
            return Advice("anchors", False, f"{text} None that were tried do much better.")
        return Advice("anchors", False, f"{text} Sizes and aspect ratios fit.")
    settings, changes = [], []
    if better["sizes"] is not None:
        settings.append(f"model.rpn.anchor_sizes={better['sizes']}")
        way = "smaller" if better["factor"] < 1 else "larger"
        changes.append(f"{way} anchors")
    if better["ratios"] is not None:
        settings.append(f"model.rpn.aspect_ratios={better['ratios']}")
        changes.append("more aspect ratios")
    text += f" With {' and '.join(changes)} that would be {percent(better['then'])}."
    if better["factor"] < 1:
        text += f" So would it on images {1 / better['factor']:.1f} times as large."
    if config.train.start_from is not None:
        text += " The detector that training starts from has learned other anchors first."
    return Advice("anchors", True, text, tuple(settings))


def _batch(train, config):
    pipeline, recipe = config.data.pipeline, config.train
    size, images = pipeline.batch_size, train["images"]
    text = f"{count_of(size, 'image')} a step, {count_of(_steps(train, config), 'step')} an epoch."
    norms = {config.model.backbone.norm, config.model.fpn_norm, config.model.roi_heads.head_norm}
    devices = recipe.devices if isinstance(recipe.devices, int) else 1
    if size > images:
        text += f" That is more than there are ({images:,}): each epoch repeats some."
        return [Advice("batch", True, text, (f"data.pipeline.batch_size={images}",))]
    if "batch" in norms and size // devices < 4:
        text += (
            " Batch norm over fewer than 4 images is unsteady: take more images, or group norm, or "
            "frozen norms with pretrained weights."
        )
        return [Advice("batch", True, text, ("model.backbone.norm=group",))]
    return [Advice("batch", False, text)]


def _learning_rate(config):
    recipe, size = config.train, config.data.pipeline.batch_size
    update = size * recipe.accumulate
    rate = scaled_learning_rate(recipe.learning_rate, update, recipe.reference_batch)
    text = f"{recipe.learning_rate:g} is for {count_of(recipe.reference_batch, 'image')} an update"
    if update == recipe.reference_batch:
        text += ", as many as here."
    else:
        text += f"; with the {update} here it is scaled to {rate:g}, so leave it as it is."
    usual = 0.00125 * update if recipe.optimizer == "sgd" else 0.001
    if rate > 8 * usual or (recipe.optimizer == "sgd" and rate > 0.2):
        text += f" That is high for {recipe.optimizer.upper()}: training may diverge."
        usual = min(usual, 0.1) * recipe.reference_batch / update
        return Advice("learning rate", True, text, (f"train.learning_rate={usual:g}",))
    return Advice("learning rate", False, text)


def _length(train, config):
    recipe, per_epoch = config.train, _steps(train, config)
    steps = recipe.total_steps(per_epoch)
    passes = steps / per_epoch
    pretrained = recipe.start_from is not None or config.model.backbone.weights is not None
    text = (
        f"{count_of(steps, 'step')} are {passes:.3g} passes over "
        f"{count_of(train['images'], 'image')}."
    )
    few, many = (5, 300) if pretrained else (20, 2000)
    key = "steps" if recipe.steps is not None else "epochs"
    unit = per_epoch if key == "steps" else 1
    if passes < few and steps < 20_000:
        text += " That is little" + ("." if pretrained else " for a start from random weights.")
        found = [Advice("length", True, text, (f"train.{key}={3 * few * unit}",))]
    elif passes > many:
        text += " That is a lot: the best epoch is kept, but the rest of the time is lost."
        found = [Advice("length", True, text, (f"train.{key}={many // 3 * unit}",))]
    else:
        found = [Advice("length", False, text)]
    epoch = per_epoch if recipe.schedule_unit == "epochs" else 1
    late = [b for b in recipe.boundaries if b * epoch >= steps]
    if late:
        drops = ", ".join(map(str, late))
        where = [max(1, round(share * steps / epoch)) for share in (0.6, 0.85)]
        found.append(
            Advice(
                "schedule",
                True,
                f"The learning rate is to drop at {recipe.schedule_unit} {drops}, which training "
                f"never reaches: it ends after {steps / epoch:g}.",
                (f"train.boundaries={sorted(set(where))}",),
            )
        )
    if recipe.warmup_length * epoch > steps / 2:
        found.append(
            Advice(
                "schedule",
                True,
                f"The warm-up of {recipe.warmup_length:,} {recipe.schedule_unit} takes more than "
                "half of the training.",
                (f"train.warmup_length={max(1, round(steps / epoch / 20))}",),
            )
        )
    return found


def _start(train, config):
    given = config.train.start_from or config.model.backbone.weights
    if given or config.data.format == "shapes" or train["images"] >= 5000:
        return []
    text = (
        f"Training starts from random weights, with {count_of(train['images'], 'image')}. The "
        "config finetune_custom starts from a detector that has seen COCO: with so few images "
        "that is better by far, where its size can be afforded."
    )
    return [Advice("start", True, text)]


def _detections(statistics, config):
    bound = config.model.roi_heads.max_detections
    most = max(row["boxes_per_image"].get("max", 0) for row in statistics.values())
    if most <= bound:
        return []
    wanted = _multiple(most * 1.5, 100)
    text = (
        f"There are up to {most:,.0f} boxes on an image, and at most {bound} detections are kept. "
        "COCO's AP counts the first 100 only."
    )
    return [Advice("detections", True, text, (f"model.roi_heads.max_detections={wanted}",))]


def _balance(train):
    rows = sorted((r for r in train["classes"] if r["boxes"]), key=lambda r: r["boxes"])
    most, least = rows[-1], rows[0]
    rare = [r for r in rows if r["boxes"] < _FEW_BOXES or r["boxes"] * _RARE < most["boxes"]]
    boxes = count_of(most["boxes"], "box", "boxes")
    if len(rows) == 1:
        text = f"One class has boxes, {_name(most)}: {boxes}."
    else:
        text = (
            f"The most frequent class, {_name(most)}, has {boxes}; the rarest, "
            f"{_name(least)}, has {least['boxes']:,}."
        )
    if not rare:
        return Advice("class balance", False, text)
    names = ", ".join(f"{_name(r)} ({r['boxes']:,})" for r in rare[:_SHOWN])
    more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
    text += (
        f" Too rare to be learned well: {names}{more}. Label more of them, or merge them with a "
        "class that is alike; and look at the AP of each class, not at the mean only."
    )
    return Advice("class balance", True, text)


def _validation(val):
    if val["boxes"] == 0 or (val["images"] >= 30 and val["boxes"] >= 100):
        return []
    text = (
        f"{count_of(val['images'], 'image')} with {count_of(val['boxes'], 'box', 'boxes')} measure "
        "AP roughly: differences of a few points are chance. Move some more images here."
    )
    return [Advice("validation", True, text)]


def _steps(train, config):
    pipeline = config.data.pipeline
    if pipeline.drop_remainder:
        return max(1, train["images"] // pipeline.batch_size)
    return max(1, -(-train["images"] // pipeline.batch_size))


def _multiple(value, of):
    return max(of, round(value / of) * of)


def _name(row):
    return cut(printable(row["name"]), 40)
