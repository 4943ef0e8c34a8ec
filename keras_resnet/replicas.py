"""The replicas of a `tf.distribute` strategy, each of which sees a share of the batch.

On other backends, and without a strategy, a step sees the whole batch: there is one replica.
"""

import keras


def replica_count():
    """How many replicas share a batch: int."""
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(x):
    """Adds up a tensor over the replicas.

    Args:
        x: tensor, of one shape in all replicas.

    Returns:
        Tensor of that shape; `x` where there is one replica.
    """
    replica = _replica()
    return x if replica is None else replica.all_reduce("SUM", x)


def uniform_rows(rows, columns, seed):
    """Random numbers for the rows of a batch, the same on one device and on several.

    Args:
        rows: int or int tensor, images in this replica's share of the batch.
        columns: int or int tensor.
        seed: a `keras.random.SeedGenerator`, whose state is the same in all replicas.

    Returns:
        float32 tensor `[rows, columns]`, uniform in [0, 1): this replica's rows of what one device
        draws for the whole batch.
    """
    replica = _replica()
    if replica is None:
        return keras.random.uniform((rows, columns), seed=seed, dtype="float32")
    whole = (rows * replica.num_replicas_in_sync, columns)
    noise = keras.random.uniform(whole, seed=seed, dtype="float32")
    first = replica.replica_id_in_sync_group * rows
    return noise[first : first + rows]


def predict_batch(model, x):
    """What a model predicts for a batch, of which every replica gets its share.

    Args:
        model: built `keras.Model`.
        x: array or dict of arrays, rows first.

    Returns:
        NumPy array, or what the model returns with NumPy arrays in it.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return model.predict_on_batch(x)
    # Of `predict_on_batch` every replica would get the whole batch.
    return model.predict(x, batch_size=len(keras.tree.flatten(x)[0]), verbose=0)


def _replica():
    """What runs as one replica of several, or None."""
    if replica_count() == 1:
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
