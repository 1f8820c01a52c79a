"""The database that is made here: its proxy alone reaches it, nobody gets in without TLS and IAM, its rows are kept."""

from __future__ import annotations

import re
from typing import Any

from tests.template.deployment import deployed, nested, of_type

from penstock.adapters.postgres.roles import LOADER, OWNER

NEW, IN_A_NETWORK = "new database", "new database in a network"


def the(kind: str) -> dict[str, Any]:
    [one] = of_type(nested(NEW, "Database"), kind).values()
    return one


def test_functions_reach_the_proxy_and_the_proxy_alone_the_database() -> None:
    resources = nested(NEW, "Database")
    groups = of_type(resources, "AWS::EC2::SecurityGroup")
    [let_in] = of_type(resources, "AWS::EC2::SecurityGroupIngress").values()

    [to_proxy] = groups["ProxySecurityGroup"]["SecurityGroupIngress"]
    [from_proxy] = groups["ProxySecurityGroup"]["SecurityGroupEgress"]

    assert to_proxy["SourceSecurityGroupId"] == {"Ref": "CallersSecurityGroupId"}
    assert from_proxy["DestinationSecurityGroupId"] == {"Ref": "DatabaseSecurityGroup"}
    assert "SecurityGroupIngress" not in groups["DatabaseSecurityGroup"]
    assert let_in["GroupId"] == {"Ref": "DatabaseSecurityGroup"}
    assert let_in["SourceSecurityGroupId"] == {"Ref": "ProxySecurityGroup"}
    assert {rule["ToPort"] for rule in (to_proxy, from_proxy, let_in)} == {5432}
    assert the("AWS::RDS::DBCluster")["VpcSecurityGroupIds"] == [{"Ref": "DatabaseSecurityGroup"}]
    assert the("AWS::RDS::DBProxy")["VpcSecurityGroupIds"] == [{"Ref": "ProxySecurityGroup"}]
    assert the("AWS::RDS::DBInstance")["PubliclyAccessible"] is False


def test_nobody_gets_in_without_tls_and_iam_on_either_side_of_the_proxy() -> None:
    proxy, cluster = the("AWS::RDS::DBProxy"), the("AWS::RDS::DBCluster")

    assert (proxy["RequireTLS"], proxy["DefaultAuthScheme"]) == (True, "IAM_AUTH")
    assert [one["IAMAuth"] for one in proxy["Auth"]] == ["REQUIRED"]
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    assert the("AWS::RDS::DBClusterParameterGroup")["Parameters"]["rds.force_ssl"] == "1"


def test_the_only_password_is_the_administrators_which_rds_makes_and_the_proxy_alone_reads() -> None:
    secret = ["Cluster", "MasterUserSecret.SecretArn"]

    cluster, role = the("AWS::RDS::DBCluster"), the("AWS::IAM::Role")

    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    [policy] = role["Policies"]
    login, read = policy["PolicyDocument"]["Statement"]
    assert (login["Action"], read["Action"]) == ("rds-db:connect", "secretsmanager:GetSecretValue")
    assert read["Resource"] == {"Fn::GetAtt": secret}
    assert [one["SecretArn"] for one in the("AWS::RDS::DBProxy")["Auth"]] == [{"Fn::GetAtt": secret}]
    resources = [one["Fn::Sub"].partition(":dbuser:")[2] for one in login["Resource"]]
    assert resources == [f"${{Cluster.DBClusterResourceId}}/{name}" for name in (OWNER, LOADER)]


def test_the_deployment_alone_is_told_of_the_administrator_and_only_where_there_is_one() -> None:
    told = {
        variant: {
            name: one["Environment"]["Variables"].get("PENSTOCK_WAREHOUSE_ADMIN")
            for name, one in of_type(deployed(variant), "AWS::Lambda::Function").items()
        }
        for variant in (NEW, "warehouse by IAM")
    }

    administrator = the("AWS::RDS::DBCluster")["MasterUsername"]
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
    assert re.fullmatch("[a-z][a-z0-9]{0,15}", administrator)
    assert {name: one for name, one in told[NEW].items() if one} == {"ApplyDatasets": administrator}
    assert not any(told["warehouse by IAM"].values())


def test_the_proxy_looks_for_the_database_when_it_is_there_and_can_be_reached() -> None:
    """Else CloudFormation waits for a target that never comes: https://github.com/aws/aws-cdk/issues/8919 and 31304"""
    assert set(nested(NEW, "Database")["ProxyTargets"]["DependsOn"]) == {"Instance", "FromProxyToDatabase"}


def test_the_proxy_takes_its_role_as_aws_documents_it() -> None:
    """With no condition: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy-iam-setup.html
    A role is passed within its account alone, so one would keep nobody out but, perhaps, the proxy."""
    [trust] = the("AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]

    assert trust == {"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}


def test_one_that_has_grown_as_far_as_it_may_is_told_of() -> None:
    alarm = the("AWS::CloudWatch::Alarm")

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/RDS", "ACUUtilization")
    assert alarm["Dimensions"] == [{"Name": "DBClusterIdentifier", "Value": {"Ref": "Cluster"}}]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert 50 < alarm["Threshold"] < 100, "percent"
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "TopicArn"}]
    assert deployed(NEW)["Database"]["Properties"]["Parameters"]["TopicArn"] == "RunTopic"


def test_rows_outlive_the_stack_and_are_in_no_log() -> None:
    cluster = nested(NEW, "Database")["Cluster"]

    assert (cluster["DeletionPolicy"], cluster["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    assert cluster["Properties"]["StorageEncrypted"] is True
    assert "EnableCloudwatchLogsExports" not in cluster["Properties"]
    assert the("AWS::RDS::DBClusterParameterGroup")["Parameters"]["log_min_messages"] == "fatal"


def test_it_stands_in_the_network_that_functions_are_in() -> None:
    made, own = (deployed(variant)["Database"]["Properties"]["Parameters"] for variant in (NEW, IN_A_NETWORK))

    assert (made["VpcId"], made["SubnetIds"]) == ("Network.Outputs.VpcId", "Network.Outputs.SubnetIds")
    assert made["CallersSecurityGroupId"] == "Network.Outputs.SecurityGroupId"
    assert (own["VpcId"], own["SubnetIds"]) == ("vpc-0a1b2c3d", "subnet-1,subnet-2")
    assert own["CallersSecurityGroupId"] == "sg-1"


def test_what_protects_the_lease_table_protects_it() -> None:
    given = [deployed(variant)["Database"]["Properties"]["Parameters"] for variant in (NEW, IN_A_NETWORK)]

    assert [one["DeletionProtection"] for one in given] == ["false", "true"]
    assert the("AWS::RDS::DBCluster")["DeletionProtection"] == {"Fn::If": ["Protects", True, False]}
