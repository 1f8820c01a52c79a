"""The network that is made here: nothing leads out of it, and all that is called from in it can be reached."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import REPOSITORY, deployed, nested, of_type, source
from tests.template.test_permissions import allowed, roles

MADE = ["in a new network", "Redshift from a new network", "new database"]
NOT_CALLED = {"sqs", "rds-db"}
"""Lambda itself sends to where a function's failures go; a token to log in with is signed by the function."""
OF_ECS = {"ecr.api", "ecr.dkr", "logs"}
"""What ECS calls from the subnets of a task, https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html"""


def network(variant: str) -> dict[str, dict[str, Any]]:
    return nested(variant, "Network")


def endpoints(variant: str) -> dict[str, dict[str, Any]]:
    """By the service that they lead to."""
    found = of_type(network(variant), "AWS::EC2::VPCEndpoint").values()
    return {one["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): one for one in found}


def statements(endpoint: dict[str, Any]) -> dict[str, dict[str, Any]]:
    written = endpoint["PolicyDocument"]["Statement"]
    return {one["Sid"]: one for given in written for one in [given["Fn::If"][1] if "Fn::If" in given else given]}


@pytest.mark.parametrize("variant", MADE)
def test_what_functions_in_it_call_has_an_endpoint_and_nothing_else_has(variant: str) -> None:
    resources = deployed(variant)
    inside = {f"{name}Role" for name, one in of_type(resources, "AWS::Lambda::Function").items() if "VpcConfig" in one}
    actions = {action for name, role in roles(variant).items() if name in inside for action, _ in allowed(role)}
    for policy in of_type(resources, "AWS::IAM::ManagedPolicy").values():
        if inside & set(policy["Roles"]):
            actions |= {
                action
                for one in policy["PolicyDocument"]["Statement"]
                for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
            }
    called = {action.split(":")[0] for action in actions} - NOT_CALLED
    if variant == "Redshift from a new network":
        called -= {"secretsmanager"}  # Redshift reads the secret that a statement names.

    there = set(endpoints(variant))

    assert there == called | (OF_ECS if "HugeFileTask" in resources else set())


@pytest.mark.parametrize("variant", MADE)
def test_s3_and_dynamodb_are_reached_by_gateways_which_cost_nothing(variant: str) -> None:
    by_the_hour = {service for service, one in endpoints(variant).items() if one["VpcEndpointType"] == "Interface"}

    assert by_the_hour == endpoints(variant).keys() - {"s3", "dynamodb"}


def test_nothing_leads_out_of_it() -> None:
    kinds = {one["Type"] for one in network("in a new network").values()}

    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP"}
    subnets = of_type(network("in a new network"), "AWS::EC2::Subnet")
    assert len(subnets) == 2
    assert not [one for one in subnets.values() if one.get("MapPublicIpOnLaunch")]


def test_through_the_gateways_only_the_stacks_bucket_and_table_are_reached_and_cloudformations_mailbox() -> None:
    made = endpoints("in a new network")

    s3, dynamodb = statements(made["s3"]), statements(made["dynamodb"])

    assert s3.keys() == {"TheLandingBucket", "AnswersToCloudFormation", "LayersOfImages"}
    bucket = "arn:${AWS::Partition}:s3:::${Bucket}"
    assert s3["TheLandingBucket"]["Resource"] == [{"Fn::Sub": bucket}, {"Fn::Sub": f"{bucket}/*"}]
    assert s3["AnswersToCloudFormation"]["Action"] == "s3:PutObject"
    assert "Condition" not in s3["AnswersToCloudFormation"], "CloudFormation signs the address as itself"
    assert dynamodb["TheLeaseTable"]["Resource"] == [{"Ref": "TableArn"}, {"Fn::Sub": "${TableArn}/index/*"}]


@pytest.mark.parametrize("variant", MADE)
def test_every_other_statement_is_for_roles_of_this_account(variant: str) -> None:
    for endpoint in endpoints(variant).values():
        for sid, statement in statements(endpoint).items():
            if sid not in {"AnswersToCloudFormation", "LayersOfImages"}:
                of = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
                assert statement["Condition"] == of, sid


def test_functions_are_called_by_nobody_and_call_https_and_postgresql() -> None:
    groups = of_type(network("in a new network"), "AWS::EC2::SecurityGroup")

    functions, interfaces = groups["FunctionsSecurityGroup"], groups["InterfacesSecurityGroup"]

    assert "SecurityGroupIngress" not in functions
    out = {(rule["FromPort"], rule["ToPort"], str(rule["CidrIp"])) for rule in functions["SecurityGroupEgress"]}
    assert out == {(443, 443, "0.0.0.0/0"), (5432, 5432, "{'Ref': 'Cidr'}")}
    [rule] = interfaces["SecurityGroupIngress"]
    assert (rule["ToPort"], rule["SourceSecurityGroupId"]) == (443, {"Ref": "FunctionsSecurityGroup"})


def test_the_secrets_that_are_read_are_the_only_ones_that_can_be() -> None:
    given = deployed("in a new network")["Network"]["Properties"]["Parameters"]["SecretArns"]

    assert [secret.split(":")[-1] for secret in given.split(",")] == ["loader-AbCdEf", "owner-AbCdEf"]
    statement = statements(endpoints("in a new network")["secretsmanager"])["TheWarehousesSecrets"]
    assert statement["Resource"] == {"Ref": "SecretArns"}


def test_what_is_refused_is_written_by_a_role_that_has_all_that_aws_asks_for() -> None:
    """https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html: else a flow log may stay empty."""
    [policy] = of_type(network("in a new network"), "AWS::IAM::Role")["FlowLogRole"]["Policies"]

    given = {
        action.removeprefix("logs:")
        for one in policy["PolicyDocument"]["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }

    assert given >= {"CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams"}


def test_no_other_stack_makes_one() -> None:
    assert "Network" not in deployed("all of it")


def test_every_nested_template_is_given_its_parameters_and_gives_what_is_asked_of_it() -> None:
    text = (REPOSITORY / "template.yaml").read_text()
    for name, resource in source()["Resources"].items():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            template = source(REPOSITORY / resource["Properties"]["TemplateURL"])
            given = resource["Properties"]["Parameters"].keys()
            wanted = {key for key, parameter in template["Parameters"].items() if "Default" not in parameter}
            assert wanted <= given <= template["Parameters"].keys(), name
            for output in template["Outputs"]:
                assert f"{name}.Outputs.{output}" in text, output
