"""The user's own AWS, which a command reaches with --aws."""

from __future__ import annotations

import os

import boto3

from penstock.model.errors import PermanentError


def aws_session() -> boto3.Session:
    """With the region that AWS CLI v2 would take: AWS_REGION, else AWS_DEFAULT_REGION, else the profile's.

    boto3 does not know the first. Raises PermanentError where there is none, botocore's ProfileNotFound.
    """
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    if not session.region_name:
        profile = f"profile {session.profile_name}"
        raise PermanentError(
            f"no AWS region is set: neither AWS_REGION nor AWS_DEFAULT_REGION is, and {profile} has none. "
            "Set AWS_REGION, as AWS_REGION=eu-west-1, or run: aws configure set region eu-west-1"
        )
    return session
