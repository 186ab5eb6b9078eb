"""What tests of several folders take."""

import pytest


@pytest.fixture
def exact():
    """Sums to the last digit, in one order: on the processor.

    A graphics card rounds the factors of a product to ten bits (TF32), and adds in no fixed order.
    """
    import keras

    with keras.device("cpu:0"):
        yield
