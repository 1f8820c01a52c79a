"""docs/security.md says what template.yaml grants, and nothing is granted on everything without a reason."""

from __future__ import annotations

from tests.template.security_table import PAGE, wide, written


def test_the_page_says_what_the_template_grants() -> None:
    assert PAGE.read_text() == written(), "the template's permissions have changed: run `make security`"


def test_what_is_granted_on_everything_says_why_beside_it() -> None:
    for role, action, reasons in wide():
        assert len(reasons) > 1, f"{role} may {action} on *: write beside its Sid why AWS has no resource for it"
