"""Positions as numbers of cells, so that one index over a whole number finds what lies near a point at any scale.

The earth is a square of 2^26 by 2^26 cells in degrees (about 0.6 m by 0.3 m at the equator). The bits of row and column
alternate in the number of a cell (a Morton code): the cells of any larger, aligned square are one range of numbers. The
sides of the square are the date line and the poles; what reaches across them is covered from both sides.
"""

from math import asin, cos, degrees, pi, radians, sin
from typing import NamedTuple

from fhir_server.search.match import EARTH_METRES
from fhir_server.search.query import Near

_BITS = 26
_SIDE = 1 << _BITS
_POLE, _DATE_LINE = 90.0, 180.0
_SLACK = 1e-9
"""Degrees by which the box around a circle is widened against rounding."""
_ACROSS = 4
"""The most squares of a cover along one side: more of them cover less for nothing, and cost a search each."""


class Box(NamedTuple):
    """Degrees that a circle surely lies within; it does not cross the date line."""

    south: float
    north: float
    west: float
    east: float


def cell(latitude: float, longitude: float) -> int:
    """Return the number of the cell of a position in degrees."""
    return _spread(_column(longitude)) | _spread(_row(latitude)) << 1


def boxes(near: Near) -> tuple[Box, ...]:
    """Return one box that surely holds the circle, two where it crosses the date line, a whole belt around a pole."""
    angle = min(pi, max(0.0, near.metres) / EARTH_METRES)
    south, north = (near.latitude + sign * (degrees(angle) + _SLACK) for sign in (-1, 1))
    if south <= -_POLE or north >= _POLE:
        return (Box(max(south, -_POLE), min(north, _POLE), -_DATE_LINE, _DATE_LINE),)
    width = degrees(asin(min(1.0, sin(angle) / cos(radians(near.latitude))))) + _SLACK
    west, east = near.longitude - width, near.longitude + width
    if west < -_DATE_LINE:
        return Box(south, north, -_DATE_LINE, east), Box(south, north, west + 2 * _DATE_LINE - _SLACK, _DATE_LINE)
    if east > _DATE_LINE:
        return Box(south, north, west, _DATE_LINE), Box(south, north, -_DATE_LINE, east - 2 * _DATE_LINE + _SLACK)
    return (Box(south, north, west, east),)


def cover(near: Near) -> list[tuple[int, int]]:
    """Return ranges of cells, first and last included, ascending and apart, that hold every position of the circle."""
    ranges = sorted(found for box in boxes(near) for found in _squares(box))
    merged = [ranges[0]]
    for first, last in ranges[1:]:
        if first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _squares(box: Box) -> list[tuple[int, int]]:
    """Return the ranges of the squares, all of one size, that the box touches: at most `_ACROSS` along either side."""
    low, high = _row(box.south), _row(box.north)
    left, right = _column(box.west), _column(box.east)
    size = max(0, (max(high - low, right - left) // _ACROSS).bit_length() - 1)
    while max((high >> size) - (low >> size), (right >> size) - (left >> size)) >= _ACROSS:
        size += 1
    columns = [_spread(column) for column in range(left >> size, (right >> size) + 1)]
    rows = [_spread(row) << 1 for row in range(low >> size, (high >> size) + 1)]
    last = (1 << 2 * size) - 1
    return [((row | column) << 2 * size, ((row | column) << 2 * size) + last) for row in rows for column in columns]


def _row(latitude: float) -> int:
    return min(_SIDE - 1, max(0, int((latitude + _POLE) * (_SIDE / (2 * _POLE)))))


def _column(longitude: float) -> int:
    return min(_SIDE - 1, max(0, int((longitude + _DATE_LINE) * (_SIDE / (2 * _DATE_LINE)))))


def _spread(number: int) -> int:
    """Put a zero in front of each of 26 bits."""
    number = (number | number << 16) & 0x0000FFFF0000FFFF
    number = (number | number << 8) & 0x00FF00FF00FF00FF
    number = (number | number << 4) & 0x0F0F0F0F0F0F0F0F
    number = (number | number << 2) & 0x3333333333333333
    return (number | number << 1) & 0x5555555555555555
