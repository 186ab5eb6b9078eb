"""From images to trained networks: augmentation, features of frozen backbones, trainings, files.

A training is handed a network; it looks none up. Imports the rooms data and models.
"""
