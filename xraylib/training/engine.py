"""A network's steps, compiled once: many trainings of one network in one process.

Of a small training, building and compiling the network takes most, and calling its steps one by one
much of the rest. Here a network is compiled once, and its steps run in one loop; a training starts
with fresh averages of Adam's, and gives what ``keras.Model.fit`` gives from the same start on the
same batches.
"""

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from xraylib.data.arrays import as_float32
from xraylib.models.builders import on_card

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # as Keras' Adam has them


class _Program:
    """Steps of training and of scoring for a model; Adam's averages between steps."""

    def __init__(self, model):
        self.trained = [variable.value for variable in model.trainable_variables]
        self.averages = None  # made by the first training: who only scores needs none
        self.taken = tf.Variable(0.0, trainable=False)  # steps
        batch = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        labels, rate = tf.TensorSpec((None, 1), tf.float32), tf.TensorSpec((), tf.float32)

        @tf.function(input_signature=[batch, labels, rate])
        def step(x, y, rate):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.trained)
                scores = model(x, training=True)
                losses = keras.losses.binary_crossentropy(y, scores)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, self.trained)
            self.taken.assign_add(1.0)
            powers = {"beta1_power": BETA_1**self.taken, "beta2_power": BETA_2**self.taken}
            settings = powers | {"beta1": BETA_1, "beta2": BETA_2, "epsilon": EPSILON, "lr": rate}
            # One operation a weight; Keras' own takes ten, and most of a small step's time.
            for value, m, v, gradient in zip(self.trained, *self.averages, gradients, strict=True):
                tf.raw_ops.ResourceApplyAdam(
                    var=value.handle, m=m.handle, v=v.handle, grad=gradient, **settings
                )
            return _sums(y, scores, losses)

        @tf.function(input_signature=[batch, labels, tf.TensorSpec((None,), tf.int32), rate])
        def steps(x, y, ends, rate):
            sums, first = tf.zeros(3, tf.float64), 0
            for end in ends:
                # A step begins when the weights of the one before it are set.
                tf.autograph.experimental.set_loop_options(parallel_iterations=1)
                sums += tf.cast(step(x[first:end], y[first:end], rate), tf.float64)
                first = end
            return sums

        @tf.function(input_signature=[batch])
        def score(x):
            return model(x, training=False)

        self.steps, self.score = steps, score

    def start(self):
        """Forget what an earlier training left behind."""
        self.taken.assign(0.0)
        if self.averages is None:
            self.averages = [
                [tf.Variable(tf.zeros_like(value), trainable=False) for value in self.trained]
                for _ in range(2)
            ]
        for average in tf.nest.flatten(self.averages):
            average.assign(tf.zeros_like(average))


def _sums(y, scores, losses):
    right = tf.cast((scores >= 0.5) == (y >= 0.5), tf.float32)
    return tf.stack([tf.reduce_sum(part) for part in (losses, right, tf.abs(y - scores))])


def _program(model):
    """The compiled steps of a model, made anew where other weights are trained now."""
    if tf.distribute.has_strategy():
        raise ValueError(
            "training and scoring run on one device, but this is the scope of "
            f"{type(tf.distribute.get_strategy()).__name__}: leave the scope, or train with Keras' "
            "own compile and fit"
        )
    kept = vars(model).get("_program")  # not setattr: Keras would track it, and save it
    trained = [variable.value for variable in model.trainable_variables]
    if kept is None or [id(v) for v in kept.trained] != [id(v) for v in trained]:
        kept = vars(model)["_program"] = _Program(model)
    return kept


def train(model, batches, *, epochs, learning_rate, validation=None, progress=False):
    """Train with Adam on binary cross-entropy.

    Args:
        model: Keras model with one output unit, a probability; trained in place, from its weights
            and dropout as they are.
        batches: function from the number of an epoch to an iterable of (x, y, ends): batches one
            after the other as arrays (m, ...) and (m, 1), and where each ends, the last of them at
            m. They are copied to the device at once, and are float32 there.
        epochs: how many.
        learning_rate: of Adam.
        validation: (x, y) to measure after each epoch, or None.
        progress: show a bar on stderr.

    Returns:
        dict of lists, one value an epoch: loss, accuracy, mae; with validation also val_loss, ...
        Training values are means over the epoch's images as they were trained on.

    Raises:
        ValueError: inside the scope of a distribution strategy, which it would miss.
    """
    program = _program(model)
    program.start()
    rate = tf.constant(learning_rate, tf.float32)
    history = []
    for epoch in tqdm(range(epochs), desc="training", unit="epoch", disable=not progress):
        sums, count = np.zeros(3), 0
        for x, y, ends in batches(epoch):
            sums += program.steps(tf.cast(x, tf.float32), y, ends, rate).numpy()
            count += len(y)
        means = sums / count
        if validation is not None:
            y = validation[1]
            scores = tf.constant(score(model, validation[0])[:, None], tf.float32)
            losses = keras.losses.binary_crossentropy(y, scores)
            means = [*means, *(_sums(y, scores, losses).numpy() / len(y))]
        history.append(means)
    names = "loss", "accuracy", "mae", "val_loss", "val_accuracy", "val_mae"
    return dict(zip(names, np.transpose(history).tolist(), strict=False))


def score(model, x):
    """What a model with one output unit says, without dropout: float64 (n,).

    x is (n, ...), array or :class:`xraylib.data.arrays.OnDisk`; of versions the plain ones count.
    """
    call, size = _program(model).score, 64 if on_card() else 16
    batches = (as_float32(plain(model, x[i : i + size])) for i in range(0, len(x), size))
    return np.concatenate([call(batch).numpy() for batch in batches])[:, 0].astype(np.float64)


def plain(model, x):
    """Of features with augmented versions, (n, 1 + draws, ...), those of the plain images."""
    return x[:, 0] if x.ndim > len(model.input_shape) else x
