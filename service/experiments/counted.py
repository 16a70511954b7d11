"""The results of an experiment as far as counting goes, in the fields of the site's contract."""

from collections.abc import Mapping
from typing import Any

from service.experiments.people import VariantPeople
from service.experiments.revisions import Revision
from service.live.event import iso


def counted_results(revision: Revision, people: Mapping[str, VariantPeople]) -> dict[str, Any]:
    """The body of GET /v1/experiments/{id}/results without any inference."""
    experiment = revision.experiment
    total = sum(len(one) for one in people.values())
    return {
        "experiment_id": experiment.experiment_id,
        "status": experiment.status,
        "start_date": None if experiment.starts_at is None else iso(experiment.starts_at),
        "participants": total,
        "total_users": total,
        "people_in_several_variants": sum(int(one.is_crossed.sum()) for one in people.values()),
        "variants": [
            _variant(variant.variant_id, variant.name, people[variant.variant_id])
            for variant in experiment.variants
        ],
    }


def _variant(variant_id: str, name: str, people: VariantPeople) -> dict[str, Any]:
    exposures, clicks = int(people.exposures.sum()), int(people.clicks.sum())
    saves, hides = int(people.saves.sum()), int(people.hides.sum())
    acted = int(((people.clicks + people.saves) > 0).sum())
    return {
        "variant_id": variant_id,
        "variant_name": name or variant_id,
        "name": name or variant_id,
        "participants": len(people),
        "user_count": len(people),
        "exposures": exposures,
        "clicks": clicks,
        "saves": saves,
        "hides": hides,
        "conversions": acted,
        "conversion_rate": _rate(acted, len(people)),
        "p_value": None,
        "metrics": {
            "click_through_rate": _rate(clicks, exposures),
            "save_rate": _rate(saves, exposures),
            "hide_rate": _rate(hides, exposures),
            "latency_ms": _rate(float(people.latency_ms.sum()), exposures),
        },
    }


def _rate(part: float, whole: int) -> float | None:
    return part / whole if whole else None
