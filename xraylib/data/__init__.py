"""Image sets: computed phantoms, downloads that are checked, folders of your own, one file.

Everything that comes from here is uint8 RGB, 0..255. Imports no other room.
"""
