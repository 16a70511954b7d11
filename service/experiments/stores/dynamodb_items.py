"""People as DynamoDB holds them, and the one update that adds to a person's counts once."""

from typing import Any

from service.experiments.increments import Increment
from service.experiments.stores import Person

_SHOWN, _SHIPMENT = "shown_", "shipment_"

#: The first writer's variant stays; so do the other facts of the first answer.
CLAIM = (
    "SET variant = if_not_exists(variant, :variant), map_version = if_not_exists(map_version, :map_version),"
    " assigned_at = if_not_exists(assigned_at, :now), expires_at = :expires"
)
_KNOWN_BEFORE = "SET pre_activity = if_not_exists(pre_activity, :pre_activity),"
_ADD = (
    " variant = if_not_exists(variant, :variant), map_version = if_not_exists(map_version, :map_version),"
    " assigned_at = if_not_exists(assigned_at, :now), seen_at = :last, expires_at = :expires, #seen = :number"
    " ADD clicks :clicks, saves :saves, hides :hides, latency_us :latency, errors :errors"
)


def number(value: int) -> dict[str, str]:
    """A whole number as DynamoDB takes it."""
    return {"N": str(value)}


def claiming(variant: str, map_version: int, now: int, expires: int) -> dict[str, Any]:
    """The arguments of an update that assigns a person unless they are assigned, and answers with what holds."""
    return {
        "UpdateExpression": CLAIM,
        "ExpressionAttributeValues": {
            ":variant": {"S": variant},
            ":map_version": number(map_version),
            ":now": number(now),
            ":expires": number(expires),
        },
        "ReturnValues": "ALL_NEW",
    }


def adding(one: Increment, source: str, shipment: int, expires: int) -> dict[str, Any]:
    """The arguments of an update that adds to a person's counts, unless their item has seen this shipment.

    An attribute for each variant counts its answers, because an update cannot compare it with the item's own.
    """
    names, first = {"#seen": f"{_SHIPMENT}{source}"}, "SET"
    values = {
        ":number": number(shipment),
        ":variant": {"S": one.variant},
        ":map_version": number(one.map_version),
        ":now": number(int(one.first_at)),
        ":last": number(int(one.last_at)),
        ":expires": number(expires),
        ":clicks": number(one.clicks),
        ":saves": number(one.saves),
        ":hides": number(one.hides),
        ":latency": number(round(one.latency_ms * 1_000)),
        ":errors": number(one.errors),
    }
    if one.shown:  # only an answer knows it
        first, values[":pre_activity"] = _KNOWN_BEFORE, number(one.pre_activity)
    expression = first + _ADD
    for place, (variant, shown) in enumerate(one.shown.items()):
        names[f"#shown{place}"], values[f":shown{place}"] = f"{_SHOWN}{variant}", number(shown)
        expression += f", #shown{place} :shown{place}"
    return {
        "UpdateExpression": expression,
        "ConditionExpression": "attribute_not_exists(#seen) OR #seen < :number",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def person_of(item: dict[str, Any]) -> Person:
    """The person that an item holds."""
    variant = item["variant"]["S"]
    shown = _numbers_of(item, _SHOWN)
    exposures = sum(shown.values())
    return Person(
        experiment_id=item["experiment_id"]["S"],
        user_id=item["user_id"]["S"],
        variant=variant,
        map_version=_whole(item, "map_version") or 1,
        exposures=exposures,
        other_exposures=exposures - shown.get(variant, 0),
        clicks=_whole(item, "clicks") or 0,
        saves=_whole(item, "saves") or 0,
        hides=_whole(item, "hides") or 0,
        pre_activity=_whole(item, "pre_activity") or 0,
        latency_ms=(_whole(item, "latency_us") or 0) / 1_000,
        assigned_at=_whole(item, "assigned_at"),
        seen_at=_whole(item, "seen_at"),
        errors=_whole(item, "errors") or 0,
        shipments=_numbers_of(item, _SHIPMENT),
    )


def _numbers_of(item: dict[str, Any], prefix: str) -> dict[str, int]:
    """The attributes whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): int(value["N"]) for name, value in item.items() if name.startswith(prefix)
    }


def _whole(item: dict[str, Any], name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None
