"""Image sets: computed phantoms, downloads that are checked, folders and tables of your own, files.

What comes from here is uint8 RGB, 0..255, in memory or on the disk. Imports no other room.
"""
