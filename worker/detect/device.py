"""Where the network runs: a GPU where there is one, else the CPU."""

from typing import Literal

import tensorflow as tf

from worker.exceptions import SettingsError


def choose_device(wanted: Literal["auto", "cpu", "gpu"]) -> str:
    """Set TensorFlow up for the wanted device and name it ("cpu" or "gpu:N cards").

    Must run before TensorFlow touches any device.
    A GPU's memory grows with use, so that two replicas can share a card.

    Raises:
        SettingsError: a GPU is asked for and none is there.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if wanted == "cpu" or not gpus:
        if wanted == "gpu":
            msg = (
                "LOSSGATE_DEVICE is 'gpu' but TensorFlow sees no GPU on this machine. "
                "Install the 'gpu' extra and the driver, or set it to 'auto'."
            )
            raise SettingsError(msg)
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # noqa: FBT003 -- TensorFlow's signature
    return f"gpu:{len(gpus)}"
