"""Shapes on the map as CAP 1.2 wants them: rings that close and do not cross themselves."""

from collections.abc import Sequence
from itertools import combinations

from bot.kernel.language import t
from commands.alerts.cap.document import Area, Circle, Polygon, Refused

Point = tuple[float, float]
Edge = tuple[Point, Point]

MOST_POINTS = 600  # in one document, the house's own measure: every two edges of a ring are compared
HALF_ROUND_KM = 20_040.0  # half of the equator: no circle on the earth is larger


def check_areas(areas: Sequence[Area]) -> None:
    """Refused if a shape or a height is not one, or if there are too many points to look at."""
    count = sum(len(polygon.points) for area in areas for polygon in area.polygon)
    if count > MOST_POINTS:
        most = t("It may have {most}.", most=MOST_POINTS)
        raise Refused(t("The document has {count} pairs in polygons.", count=count), allowed=most)
    for area in areas:
        _check_area(area)


def _check_area(area: Area) -> None:
    for polygon in area.polygon:
        _check_polygon(polygon)
    for circle in area.circle:
        _check_circle(circle)
    if area.ceiling is None:
        return
    if area.altitude is None:
        raise Refused(t("ceiling needs an altitude."))
    if area.ceiling <= area.altitude:
        raise Refused(t("ceiling must be above altitude."))


def _check_point(point: Point, element: str) -> None:
    latitude, longitude = point
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        place = f"{latitude:g},{longitude:g}"
        raise Refused(t("{element}: {place} is not on the earth.", element=element, place=place))


def _check_circle(circle: Circle) -> None:
    _check_point((circle.latitude, circle.longitude), "circle")
    if not 0 <= circle.radius_km <= HALF_ROUND_KM:
        raise Refused(t("circle: {radius} km is no radius.", radius=f"{circle.radius_km:g}"))


def _check_polygon(polygon: Polygon) -> None:
    points = polygon.points
    if len(points) < 4:
        raise Refused(t("polygon has {count} pairs: it needs at least 4.", count=len(points)))
    for point in points:
        _check_point(point, "polygon")
    if points[0] != points[-1]:
        raise Refused(t("polygon is open: its last pair must be its first."))
    if crosses_itself(points):
        raise Refused(t("polygon crosses itself."))


def crosses_itself(points: tuple[Point, ...]) -> bool:
    """Whether a closed ring touches or crosses itself, or has no inside at all."""
    ring = [point for at, point in enumerate(points[:-1]) if point != points[at + 1]]
    edges = [(point, ring[(at + 1) % len(ring)]) for at, point in enumerate(ring)]
    if len(edges) < 3:
        return True
    return any(
        _turns_back(edges[one], edges[other])
        if other - one == 1
        else _turns_back(edges[other], edges[one])
        if (one, other) == (0, len(edges) - 1)
        else _meet(edges[one], edges[other])
        for one, other in combinations(range(len(edges)), 2)
    )


def _side(edge: Edge, point: Point) -> float:
    (y1, x1), (y2, x2) = edge
    return (x2 - x1) * (point[0] - y1) - (y2 - y1) * (point[1] - x1)


def _turns_back(edge: Edge, after: Edge) -> bool:
    """Whether an edge runs back along the one before it."""
    (y1, x1), (y2, x2) = edge
    y3, x3 = after[1]
    return _side(edge, after[1]) == 0 and (y2 - y1) * (y3 - y2) + (x2 - x1) * (x3 - x2) < 0


def _meet(one: Edge, other: Edge) -> bool:
    for axis in (0, 1):
        if max(one[0][axis], one[1][axis]) < min(other[0][axis], other[1][axis]):
            return False
        if max(other[0][axis], other[1][axis]) < min(one[0][axis], one[1][axis]):
            return False
    apart = _side(one, other[0]) * _side(one, other[1]) > 0
    return not apart and _side(other, one[0]) * _side(other, one[1]) <= 0
