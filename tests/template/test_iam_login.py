"""Who may log in to a PostgreSQL that asks IAM: each as its own role, there and nowhere else."""

from __future__ import annotations

import pytest
from tests.template.deployment import deployed, of_type
from tests.template.test_permissions import allowed, roles

BY_IAM = "warehouse by IAM"
LOGIN = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:{}"
PLACES = {
    BY_IAM: "prx-0123456789abcdef0",
    "new database": "Database.Outputs.ResourceId",
    "new database in a network": "Database.Outputs.ResourceId",
}


@pytest.mark.parametrize("variant", PLACES)
def test_whoever_asks_the_warehouse_may_log_in_as_the_loader(variant: str) -> None:
    resources = deployed(variant)
    functions = of_type(resources, "AWS::Lambda::Function")
    asking = {
        f"{name}Role"
        for name, one in functions.items()
        if "PENSTOCK_WAREHOUSE_SECRET_ARN" in one["Environment"]["Variables"]
    }

    [policy] = of_type(resources, "AWS::IAM::ManagedPolicy").values()

    # A load of PostgreSQL is never polled.
    assert set(policy["Roles"]) == asking - {"ApplyDatasetsRole", "PollLoadRole"} | {"HugeFileTaskRole"}
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "rds-db:connect"
    assert statement["Resource"].replace("$", "") == LOGIN.format(f"{PLACES[variant]}/penstock_loader")


@pytest.mark.parametrize("variant", PLACES)
def test_the_deployment_alone_logs_in_as_the_owner(variant: str) -> None:
    logins = {name: dict(allowed(role)).get("rds-db:connect") for name, role in roles(variant).items()}

    assert {name for name, resource in logins.items() if resource} == {"ApplyDatasetsRole"}
    assert ("rds-db:connect", LOGIN.format(f"{PLACES[variant]}/penstock_owner")) in allowed(
        roles(variant)["ApplyDatasetsRole"]
    )


@pytest.mark.parametrize("variant", PLACES)
def test_functions_are_told_where_and_as_whom(variant: str) -> None:
    resources = deployed(variant)
    functions = of_type(resources, "AWS::Lambda::Function")

    told = {name: one["Environment"]["Variables"] for name, one in functions.items()}

    host = told["BeginLoad"]["PENSTOCK_WAREHOUSE_HOST"]
    assert host
    assert {one["PENSTOCK_WAREHOUSE_HOST"] for one in told.values()} == {host}
    assert {name for name, one in told.items() if "PENSTOCK_WAREHOUSE_USER" in one} == {"ApplyDatasets"}
    assert told["ApplyDatasets"]["PENSTOCK_WAREHOUSE_USER"] == "penstock_owner"
    [task] = resources["HugeFileTask"]["Properties"]["ContainerDefinitions"]
    given = {one["Name"]: one["Value"] for one in task["Environment"]}
    assert (given["PENSTOCK_WAREHOUSE_HOST"], given["PENSTOCK_WAREHOUSE_DATABASE"]) == (host, "warehouse")


@pytest.mark.parametrize("variant", PLACES)
def test_no_secret_is_read(variant: str) -> None:
    for role in roles(variant).values():
        assert not [action for action, _ in allowed(role) if action.startswith("secretsmanager:")]
