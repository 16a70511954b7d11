"""The store that the settings name."""

from service.experiments.stores import ExperimentStore
from service.settings import Settings


async def open_experiment_store(settings: Settings) -> ExperimentStore | None:
    """DynamoDB where AWS is configured; None where experiments are kept in the service's own database."""
    if not settings.uses_dynamodb:
        return None
    # Here, since with the libraries behind it it takes some 30 MB, which a site without AWS can spare.
    from service.experiments.stores.dynamodb import open_dynamodb
    from service.experiments.stores.dynamodb_client import DynamoDBSettings

    return await open_dynamodb(
        DynamoDBSettings(
            region=settings.aws_region,
            access_key_id=settings.aws_access_key_id,
            secret_access_key=settings.aws_secret_access_key,
            experiments_table=settings.dynamodb_table_experiments,
            assignments_table=settings.dynamodb_table_assignments,
            poll_seconds=settings.dynamodb_seconds,
            ship_seconds=settings.dynamodb_seconds,
            hold_seconds=settings.dynamodb_hold_seconds,
        )
    )
