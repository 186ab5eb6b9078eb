"""What scores are worth: metrics, cross-validation, shortcuts, maps and tests of maps.

Any classifier of scikit-learn can be evaluated. Imports the rooms to the left: data, models,
training.
"""
