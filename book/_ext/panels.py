"""Sphinx extension: on a phone the panels of a wide figure stand one below the other.

Matplotlib's SVG has a group an axes. Where groups lie side by side with nothing across, a page
gets, beside the figure, views of the same file: of each part its own, which book.css shows on a
narrow screen in the figure's place.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
NARROW = 330  # points: a figure as wide as this can be read on a phone as it is
MARGIN = 2  # points
LABELS = 13  # points: less has no room for numbers
SPINE = 1  # points: the line of an axis, which a panel has of its own
LEAST = 140  # points: panels narrower than this stay with the next
PIXELS = 4 / 3  # a point
BAR = 60  # points: what is narrower, such as a bar of colours, stays with the one before
IMAGE = re.compile(r'<img alt="(?P<alt>[^"]*)" src="(?P<source>[^"]*/(?P<name>[^"/]+\.svg))" />')


def parts(svg):
    """A figure's parts in reading order, each a list of boxes that stand side by side.

    Where the panels of a row share the numbers at its left, a part begins with the box of these.

    Args:
        svg: text of a file that matplotlib wrote.

    Returns:
        list of lists of (x, y, width, height) in the figure's own units. Empty where the figure is
        narrow, or its panels do not lie side by side.
    """
    root = ElementTree.fromstring(svg)
    figure = root.find(f".//{SVG}g[@id='figure_1']")
    if figure is None:
        return []
    _, _, width, height = map(float, root.get("viewBox").split())
    clips = {
        f"url(#{clip.get('id')})": _rectangle(clip.find(f"{SVG}rect"))
        for clip in root.iter(f"{SVG}clipPath")
        if clip.find(f"{SVG}rect") is not None
    }
    drawn = {g: _box(g, np.eye(3), clips) for g in figure if g.get("id") != "patch_1"}
    axes = {g: box for g, box in drawn.items() if g.get("id", "").startswith("axes")}
    boxes = np.array([box for box in axes.values() if box is not None])
    as_text = next(root.iter(f"{SVG}text"), None) is not None  # of no known size here
    if width < NARROW or len(boxes) < 2 or as_text:
        return []
    found = [_around(each) for each in _cut(boxes, 0)]
    if len(found) < 2:
        return []
    # A legend, or a title of them all.
    others = [box for group, box in drawn.items() if group not in axes and box is not None]
    placed = all([_place(box, found) for box in others])
    found = np.array(found)
    if not placed or (found[:, 2] - found[:, 0]).max() > 0.8 * width:
        return []
    low = np.maximum(found[:, :2] - MARGIN, 0)
    high = np.minimum(found[:, 2:] + MARGIN, [width, height])
    frames = [_box(g[0], np.eye(3), clips) for g in axes if len(g)]  # a panel's ground
    frames = np.array([frame for frame in frames if frame is not None]).reshape(-1, 4)
    return _with_numbers(low, high, frames)


def _place(box, parts):
    """Put what belongs to no panel into the part that it stands above or below, or before or behind
    all others; False where it stands between them."""
    for k, part in enumerate(parts):
        if part[0] - 2 <= box[0] and box[2] <= part[2] + 2:
            parts[k] = _around(np.array([part, box]))
            return True
    top, bottom = min(part[1] for part in parts), max(part[3] for part in parts)
    if box[3] <= top + 6:
        parts.insert(0, box)
        return True
    parts.append(box)
    return box[1] >= bottom - 6


def _with_numbers(low, high, frames):
    """Parts as lists of boxes; none where one lacks numbers that it shares with another below."""
    found, first, columns = [], None, []
    for (x0, y0), (x1, y1) in zip(low, high, strict=True):
        inside = (frames[:, :2] >= [x0 - 1, y0 - 1]) & (frames[:, 2:] <= [x1 + 1, y1 + 1])
        own = frames[inside.all(axis=1)]
        view = [x0, y0, x1 - x0, y1 - y0]
        if not len(own):
            found.append([view])
            continue
        room, below = own[:, 0].min() - x0, y1 - own[:, 3].max()
        if first is None or abs(first["y0"] - y0) > LABELS:
            first = {"x0": x0, "y0": y0, "room": room}
        if any(start < x1 and end > x0 and other < LABELS < below for start, end, other in columns):
            return []
        columns.append((x0, x1, below))
        strip = [first["x0"], y0, first["room"] - SPINE, y1 - y0]
        shares = first["x0"] < x0 and room < LABELS < first["room"]
        found.append([strip, view] if shares else [view])
    return found


def _cut(boxes, axis, tried=False):
    """Lists of boxes, by gaps first along one axis, then along the other."""
    order = boxes[np.argsort(boxes[:, axis])]
    ends = np.maximum.accumulate(order[:, axis + 2])
    gaps = np.flatnonzero(order[1:, axis] > ends[:-1] - 2) + 1  # letters may touch a neighbour
    pieces = np.split(order, gaps)
    if axis == 0:
        pieces = _wide_enough(pieces)
    if len(pieces) == 1:
        return [boxes] if tried else _cut(boxes, 1 - axis, True)
    if axis == 0:
        return pieces
    rows = [_cut(piece, 0, True) for piece in pieces]
    # Rows that stay whole gain nothing by being apart.
    return [each for row in rows for each in row] if max(map(len, rows)) > 1 else [boxes]


def _wide_enough(pieces):
    joined = []
    for piece in pieces:
        if joined and (_width(piece) < BAR or _width(joined[-1]) < LEAST):
            piece = np.vstack([joined.pop(), piece])
        joined.append(piece)
    if len(joined) > 1 and _width(joined[-1]) < LEAST:
        joined[-2:] = [np.vstack(joined[-2:])]
    return joined


def _width(boxes):
    return boxes[:, 2].max() - boxes[:, 0].min()


def _around(boxes):
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _box(element, matrix, clips):
    """x0, y0, x1, y1 of what an element draws, or None; a letter is taken for a square."""
    matrix = matrix @ _matrix(element.get("transform", ""))
    kind, clip = element.tag.removeprefix(SVG), element.get("clip-path")
    if kind == "defs":
        return None
    if clip in clips:
        return clips[clip]
    if kind == "path":
        numbers = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", element.get("d", ""))
        points = np.array(numbers, float).reshape(-1, 2)
    elif kind == "image":
        points = _rectangle(element).reshape(2, 2)
    elif kind == "use" and element.get("x") is None and "-" in element.get(LINK, ""):
        points = np.array([[0, -20], [62, 75]])  # hundredths of the letters' size
    else:
        inner = [_box(child, matrix, clips) for child in element]
        inner = [box for box in inner if box is not None]
        return _around(np.array(inner)) if inner else None
    if not len(points):
        return None
    points = points @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _matrix(transform):
    matrix = np.eye(3)
    for name, values in re.findall(r"(\w+)\(([^)]*)\)", transform):
        values = [float(v) for v in re.split(r"[ ,]+", values.strip())]
        step = np.eye(3)
        if name == "translate":
            step[: len(values), 2] = values
        elif name == "scale":
            step[0, 0], step[1, 1] = values[0], values[-1]
        elif name == "rotate":
            turn = np.deg2rad(values[0])
            step[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        matrix = matrix @ step
    return matrix


def _rectangle(rect):
    x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
    return np.array([x, y, x + width, y + height])


def beside(app, pagename, templatename, context, doctree):
    """Give each wide figure of a page its parts."""
    if "body" not in context:
        return
    files = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}

    def stacked(image):
        file = files.get(image["name"])
        found = parts(file.read_text()) if file is not None else []
        if not found:
            return image[0]
        rows = ("".join(_view(image["source"], *box) for box in part) for part in found)
        views = "".join(f"<div>{row}</div>" for row in rows)
        return f'{image[0]}<div class="panels" role="img" aria-label="{image["alt"]}">{views}</div>'

    context["body"] = IMAGE.sub(stacked, context["body"])


def _view(source, x, y, w, h):
    """The part of an image that is in a box, as large as its letters need."""
    return (
        f'<img alt="" loading="lazy" style="width:{w * PIXELS:.1f}px; aspect-ratio:{w:.1f}/{h:.1f}"'
        f' src="{source}#svgView(viewBox({x:.1f},{y:.1f},{w:.1f},{h:.1f}))" />'
    )


def setup(app):
    """Called by Sphinx."""
    app.connect("html-page-context", beside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
