"""The thin package behind the book: image sets, models, training and figures."""

__version__ = "0.1.0"
