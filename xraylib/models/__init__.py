"""Networks: pre-trained backbones, what the report puts on them, and small ones beside these.

Nothing here trains, or knows where images come from. Imports no other room.
"""
