"""What Lambda hands to a handler beside the event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FakeContext:
    function_name: str = "penstock-Function"
    memory_limit_in_mb: int = 512
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"
    remaining_milliseconds: int = 300_000
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:penstock-Function"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_milliseconds
